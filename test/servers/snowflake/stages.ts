/** Stages: directories, with URLs of files that are good for a time. */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { missingObject } from './errors.ts'

export interface Stage {
  /** `~`, or database, schema and name joined by dots, as stored. */
  readonly name: string
  readonly type: 'INTERNAL' | 'INTERNAL NO CSE' | 'EXTERNAL'
}

export interface StagedPath {
  readonly stage: Stage
  /** On the stage. */
  readonly path: string
}

export class Stages {
  readonly #root: string
  readonly #stages = new Map<string, Stage>([['~', { name: '~', type: 'INTERNAL' }]])
  readonly #urls = new Map<string, { readonly file: string; expiresMs: number }>()

  constructor(root: string) {
    this.#root = root
  }

  create(name: string, type: Stage['type']): void {
    this.#stages.set(name, { name, type })
  }

  all(): readonly Stage[] {
    return [...this.#stages.values()]
  }

  /** `@~/path` or `@"DB"."SCHEMA"."NAME"/path`. */
  read(reference: string): StagedPath {
    const [, user, quoted, path = ''] = /^@(?:(~)|("[^/]*"))(?:\/(.*))?$/s.exec(reference) ?? []
    const name = user ?? quoted?.slice(1, -1).replaceAll('"."', '.') ?? ''
    const stage = this.#stages.get(name)
    if (!stage) throw missingObject('Stage', name)
    return { stage, path }
  }

  fileOf({ stage, path }: StagedPath): string {
    return join(this.directoryOf(stage), path)
  }

  directoryOf(stage: Stage): string {
    return join(this.#root, stage.name === '~' ? 'user' : stage.name)
  }

  /** The names of files that begin so, which is how Snowflake matches: not by directory. */
  async list({ stage, path }: StagedPath): Promise<{ name: string; size: number }[]> {
    const directory = this.directoryOf(stage)
    await mkdir(directory, { recursive: true })
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    const names = entries
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1))
      .filter(name => name.startsWith(path))
    return Promise.all(names.sort().map(async name => ({ name, size: (await stat(join(directory, name))).size })))
  }

  async remove(place: StagedPath): Promise<string[]> {
    const files = await this.list(place)
    for (const { name } of files) await rm(this.fileOf({ ...place, path: name }))
    return files.map(({ name }) => name)
  }

  async makeRoomFor(file: string): Promise<void> {
    await mkdir(dirname(file), { recursive: true })
  }

  /** Also of a file that there is not. Answers the path of the URL. */
  sign(place: StagedPath, seconds: number): string {
    const token = randomUUID()
    this.#urls.set(token, { file: this.fileOf(place), expiresMs: Date.now() + seconds * 1_000 })
    return `/stage-files/${token}`
  }

  /** What the URL names; `expired` once it is no longer good. */
  resolve(token: string): { readonly file: string; readonly expired: boolean } | undefined {
    const found = this.#urls.get(token)
    return found && { file: found.file, expired: found.expiresMs <= Date.now() }
  }

  expireUrls(): void {
    for (const url of this.#urls.values()) url.expiresMs = 0
  }
}
