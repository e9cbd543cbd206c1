/** The store without a disk: for tests, and for hosts whose jobs may end with their process. */
import type { Checkpoint, DestinationRef } from '../core/unit.ts'
import { MemoryDestination, newDestination } from './memory/destination.ts'
import {
  addWishes,
  discardable,
  isExpired,
  isUnfinished,
  jobExists,
  leaseLost,
  noDestination,
  noJob,
  reopened,
  requireActive,
  requireFinal,
  requireLatest,
  requireReopenable,
  requireStatus,
} from './rules.ts'
import type { JobRecord, Lease, ListQuery, Manifest, Store, ValueSet } from './store.ts'
import { ValueSetPieces } from './value-set.ts'

/** Nothing survives the process. Closing keeps everything, so that a test can start a second engine on the same store. */
export function memoryStore(): Store {
  const jobs = new Map<string, MemoryJob>()
  const valueSets = new Map<string, ValueSet & { readonly pieces: readonly (readonly string[])[] }>()

  /** Effects must come after every check: nothing rolls back here. */
  function owned(lease: Lease): MemoryJob {
    const job = jobs.get(lease.jobId)
    if (job?.record.epoch !== lease.epoch) throw leaseLost(lease)
    return job
  }

  function active(lease: Lease): MemoryJob {
    const job = owned(lease)
    requireActive(lease.jobId, job.record.status)
    return job
  }

  /** Jobs of the same organization that run, or may before this one. */
  function countAhead(job: JobRecord): number {
    const others = [...jobs.values()].filter(({ record }) => record.organizationId === job.organizationId)
    const isAhead = ({ status, beat, ...other }: JobRecord): boolean =>
      isUnfinished(status) && (beat > 0 || newestFirst(job, other) < 0)
    return others.filter(({ record }) => isAhead(record)).length
  }

  return {
    async create(job) {
      if (jobs.has(job.jobId)) throw jobExists(job.jobId)
      jobs.set(job.jobId, newJob(copy(job)))
    },

    async get(jobId) {
      return jobs.get(jobId)?.read()
    },

    async list(query) {
      return [...jobs.values()]
        .map(job => job.record)
        .filter(record => matches(record, query))
        .sort(newestFirst)
        .slice(0, query.limit ?? 1_000)
        .map(record => jobs.get(record.jobId)!.read())
    },

    async wish(jobId, wishes, when) {
      const job = jobs.get(jobId)
      if (job && when.includes(job.record.status)) job.set({ wishes: addWishes(job.record.wishes, wishes) })
      return job?.read()
    },

    async unfinished() {
      return [...jobs.values()]
        .filter(job => isUnfinished(job.record.status))
        .sort((a, b) => newestFirst(b.record, a.record))
        .map(({ record: { jobId, epoch, beat } }) => ({ jobId, epoch, beat }))
    },

    async claim(seen, mostRunning = Number.POSITIVE_INFINITY) {
      const job = jobs.get(seen.jobId)
      if (!job || !isUnfinished(job.record.status)) return undefined
      if (job.record.epoch !== seen.epoch || job.record.beat !== seen.beat) return undefined
      if (seen.beat === 0 && countAhead(job.record) >= mostRunning) return undefined
      job.set({ epoch: seen.epoch + 1, beat: 1 })
      return { jobId: seen.jobId, epoch: seen.epoch + 1 }
    },

    async beat(lease) {
      const job = owned(lease)
      job.set({ beat: job.record.beat + 1 })
      return job.record.wishes
    },

    async release(lease) {
      owned(lease).set({ epoch: lease.epoch + 1, beat: 0 })
    },

    async saveStaging(lease, staging) {
      active(lease).set({ staging: copy(staging) })
    },

    async transition(lease, from, to, { manifest, error, timeCompleted, staged }) {
      const job = owned(lease)
      const manifests = { stored: job.manifest !== undefined, given: manifest !== undefined }
      requireStatus(lease.jobId, from, job.record.status, manifests)
      job.set({
        status: to,
        ...(error && { error: copy(error) }),
        ...(timeCompleted && { timeCompleted }),
        ...(staged && { staged: copy(staged) }),
      })
      if (to === 'failed' || to === 'cancelled') job.giveUpDestinations()
      if (!manifest) return
      job.manifest = copy(manifest)
      job.set({ numChunks: manifest.files.length, chunksLeft: job.countChunksLeft(manifest.files.length) })
    },

    async setDestination(lease, uid, change) {
      const job = active(lease)
      const destination = job.destination(uid)
      if (change.saved !== undefined) destination.set({ saved: copy(change.saved) })
      if (destination.record.state === 'failed') return
      destination.set({
        ...(change.state && { state: change.state }),
        ...(change.error && { error: copy(change.error) }),
      })
      job.recountChunksLeft()
    },

    async reopen(jobId, from, reopening) {
      const job = jobs.get(jobId)
      if (!job) throw noJob(jobId)
      requireReopenable(jobId, from, job.record)
      const { goOn = [], again = [], added = [] } = copy(reopening)
      for (const uid of [...goOn, ...again.map(one => one.uid)]) job.destination(uid)
      const nothing = { error: undefined, timeCompleted: undefined, staged: undefined }
      job.set({ ...reopened(job.record), ...nothing, epoch: job.record.epoch + 1, beat: 0 })
      for (const ref of added) job.addDestination(ref)
      for (const uid of goOn) job.destination(uid).set({ state: 'pending', error: undefined })
      for (const { uid, from, to } of again) {
        const chunks = [...(job.manifest?.files.keys() ?? [])]
        job.destination(uid).startDelivery(chunks.filter(chunk => chunk < from || chunk >= to))
      }
      job.recountChunksLeft()
      return job.read()
    },

    async expired(now) {
      const finals = [...jobs.values()].filter(({ record }) => !isUnfinished(record.status))
      return finals.filter(({ record }) => isExpired(record.staged, now)).map(({ record }) => record.jobId)
    },

    async beginDiscard(jobId) {
      const job = jobs.get(jobId)
      const staging = job && discardable(job.record)
      if (staging) job.set({ staged: { state: 'discarding' } })
      return staging
    },

    async discarded(jobId) {
      const job = jobs.get(jobId)
      if (job?.record.staged?.state === 'discarding') job.set({ staged: { state: 'gone' } })
    },

    async manifest(jobId) {
      return jobs.get(jobId)?.manifest
    },

    async checkpoints(jobId) {
      const destinations = [...(jobs.get(jobId)?.destinations ?? [])]
      return Object.fromEntries(destinations.map(([uid, { checkpoints }]) => [uid, byChunk([...checkpoints.values()])]))
    },

    async startUnit(lease, unit) {
      const job = active(lease)
      const attempt = (job.attempts.get(unit) ?? 0) + 1
      job.attempts.set(unit, attempt)
      return attempt
    },

    async report(lease, report, maxDeadLetters) {
      const job = active(lease)
      const destination = job.destination(report.destination)
      requireLatest(report, { attempt: job.attempts.get(report.unit), delivery: destination.record.delivery })
      const deadLettersRefused = destination.store(copy(report), maxDeadLetters)
      job.recountChunksLeft()
      return { deadLettersRefused, wishes: job.record.wishes }
    },

    async *deadLetters(jobId, uid) {
      const letters = [...(jobs.get(jobId)?.destinations.get(uid)?.deadLetters.values() ?? [])]
      yield* letters.sort((a, b) => a.chunk - b.chunk || a.row - b.row)
    },

    async redriven(jobId, uid, outcome) {
      const job = jobs.get(jobId)
      if (!job) throw noJob(jobId)
      requireFinal(jobId, job.record.status)
      return job.destination(uid).redrive(copy(outcome))
    },

    async proof(jobId, uid) {
      return [...(jobs.get(jobId)?.destinations.get(uid)?.proof.values() ?? [])]
    },

    async putValueSet(values) {
      const members = new Set<string>()
      for await (const piece of values) for (const value of piece) members.add(value.toWellFormed())
      // as bytes: the order of JavaScript strings is another one outside the basic plane
      const sorted = Array.from(members, member => Buffer.from(member)).sort(Buffer.compare)
      const cutter = new ValueSetPieces()
      const pieces = [...cutter.cut(sorted.map(String))]
      const { ref, count } = cutter.name()
      valueSets.set(ref, { ref, count, pieces })
      return { ref, count }
    },

    async valueSet(ref) {
      const set = valueSets.get(ref)
      if (!set) return undefined
      return {
        ref,
        count: set.count,
        async *values() {
          yield* set.pieces
        },
      }
    },

    async close() {},
  }
}

class MemoryJob {
  record: JobRecord
  manifest: Manifest | undefined
  readonly attempts = new Map<string, number>()
  readonly destinations: Map<string, MemoryDestination>

  constructor(record: JobRecord) {
    this.record = record
    this.destinations = new Map(record.destinationRecords.map(record => [record.uid, new MemoryDestination(record)]))
  }

  read(): JobRecord {
    return { ...this.record, destinationRecords: Array.from(this.destinations.values(), ({ record }) => record) }
  }

  set(change: Partial<JobRecord>): void {
    this.record = { ...this.record, ...change }
  }

  destination(uid: string): MemoryDestination {
    const destination = this.destinations.get(uid)
    if (!destination) throw noDestination(this.record.jobId, uid)
    return destination
  }

  addDestination(ref: DestinationRef): void {
    this.destinations.set(ref.uid, new MemoryDestination(newDestination(ref)))
    this.set({ destinations: [...this.record.destinations, ref] })
  }

  giveUpDestinations(): void {
    for (const destination of this.destinations.values()) {
      const { state } = destination.record
      if (state === 'pending' || state === 'delivering') destination.set({ state: 'cancelled' })
    }
  }

  recountChunksLeft(): void {
    if (this.record.numChunks !== undefined) this.set({ chunksLeft: this.countChunksLeft(this.record.numChunks) })
  }

  countChunksLeft(numChunks: number): number {
    const alive = [...this.destinations.values()].filter(destination => destination.record.state !== 'failed')
    const isLeft = (chunk: number) => alive.some(({ checkpoints }) => !checkpoints.get(chunk)?.done)
    let left = 0
    for (let chunk = 0; chunk < numChunks; chunk++) if (isLeft(chunk)) left++
    return left
  }
}

function newJob(job: Parameters<Store['create']>[0]): MemoryJob {
  return new MemoryJob({
    ...job,
    status: 'staging',
    epoch: 0,
    beat: 0,
    wishes: {},
    staging: undefined,
    staged: undefined,
    numChunks: undefined,
    chunksLeft: undefined,
    error: undefined,
    timeCompleted: undefined,
    destinationRecords: job.destinations.map(newDestination),
  })
}

function matches(record: JobRecord, { organizationId, status, table, before }: ListQuery): boolean {
  if (organizationId !== undefined && record.organizationId !== organizationId) return false
  if (status !== undefined && record.status !== status) return false
  if (table !== undefined && record.request.table !== table) return false
  return before === undefined || newestFirst(before, record) < 0
}

type Position = Pick<JobRecord, 'timeCreated' | 'jobId'>

function newestFirst(a: Position, b: Position): number {
  if (a.timeCreated !== b.timeCreated) return a.timeCreated > b.timeCreated ? -1 : 1
  if (a.jobId !== b.jobId) return a.jobId > b.jobId ? -1 : 1
  return 0
}

function byChunk(checkpoints: Checkpoint[]): readonly Checkpoint[] {
  return checkpoints.sort((a, b) => a.chunk - b.chunk)
}

/** What is stored is what JSON keeps, as in any other store, and shares nothing with the caller's objects. */
function copy<T>(value: T): T {
  return JSON.parse(JSON.stringify(value))
}
