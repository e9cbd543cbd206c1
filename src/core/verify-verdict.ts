import type { DestinationReceipt } from './receipt.ts'
import type { Verification } from './verify.ts'
import type { Findings } from './verify-findings.ts'

/** What was read, beside the rows. */
export interface ReadSoFar {
  records: number
  /** Records before the first that is the job's. */
  strangers: number
  unreadable: number
  /** Why that is so. */
  readonly reasons: string[]
  /** What else the sink had to say. */
  readonly problems: string[]
}

interface Evidence extends ReadSoFar {
  readonly by: Verification['by']
  readonly findings: Findings
}

const PLACES_NAMED = 1_000

/** What can be said, and what cannot. */
export function verdictOf(jobId: string, receipt: DestinationReceipt, evidence: Evidence): Verification {
  const { findings, by } = evidence
  // each place that cannot be read may have held one of the missing rows
  const unreadable = Math.min(findings.missing, evidence.unreadable + findings.unnamed)
  const missing = findings.missing - unreadable
  // with some rows unreadable, a sum over many says nothing
  const isBlurred = by !== 'row ids' && evidence.unreadable > 0
  const wrong = isBlurred ? 0 : findings.places.filter(place => place.wrong).length
  const problems = [...evidence.problems, ...problemsOf(receipt, { ...findings, missing, wrong })]
  const notJudged = notJudgedOf(receipt, { ...evidence, lost: unreadable, isBlurred })
  return {
    job_id: jobId,
    type: receipt.type,
    name: receipt.name,
    delivery: receipt.delivery,
    verdict: problems.length > 0 ? 'wrong' : notJudged.length > 0 ? 'unproven' : 'proven',
    by,
    problems,
    not_judged: notJudged,
    delivered: receipt.delivered,
    records: evidence.records,
    found: findings.found,
    missing,
    duplicated: findings.duplicated,
    unexpected: findings.unexpected,
    wrong,
    ahead: findings.ahead,
    others: findings.others + evidence.strangers,
    unreadable,
    checksums: checksumsOf(receipt, findings, wrong, isBlurred),
    places: findings.places.slice(0, PLACES_NAMED),
  }
}

function problemsOf(
  { differences }: DestinationReceipt,
  { missing, unexpected, wrong }: { readonly missing: number; readonly unexpected: number; readonly wrong: number },
): string[] {
  const problems = differences.map(
    ({ chunk, expected, settled }) => `chunk ${chunk}: ${rows(expected)} to settle, ${settled} accounted for`,
  )
  if (missing > 0) problems.push(`${rows(missing)} missing`)
  if (unexpected > 0) problems.push(`${rows(unexpected)} there that should not be: repeated, changed, or another's`)
  if (wrong > 0)
    problems.push(
      `${wrong} place${wrong === 1 ? '' : 's'} with the right number of rows and another sum of checksums: some row is not as it was delivered`,
    )
  return problems
}

function notJudgedOf(
  receipt: DestinationReceipt,
  { findings, unreadable, reasons, lost, isBlurred }: Evidence & { readonly lost: number; readonly isBlurred: boolean },
): string[] {
  const said: string[] = []
  if (receipt.status !== 'completed') {
    const left = receipt.chunks_left === null ? '' : `, ${receipt.chunks_left} of its chunks not delivered to their end`
    said.push(`the destination is ${receipt.status}${left}: only what is settled was judged`)
  }
  if (receipt.checksum === null && receipt.delivered > 0)
    said.push('whether rows are as they were delivered: the job summed no checksums (option "checksums")')
  if (lost > 0) said.push(`${rows(lost)} missing, or only not to be read any more`)
  if (isBlurred && lost === 0 && findings.places.some(({ wrong }) => wrong))
    said.push(`which rows are there: ${rows(unreadable)} cannot be read any more`)
  if (lost > 0 || isBlurred) said.push(...reasons)
  if (findings.unnamed > 0) said.push(`${rows(findings.unnamed)} without an id, in a topic whose others have one`)
  if (findings.untold > 0)
    said.push(
      `${rows(findings.untold)} more than were delivered: without ids, rows sent twice cannot be told from others, nor what they may stand in for`,
    )
  return said
}

function checksumsOf(
  { checksum }: DestinationReceipt,
  { missing, unexpected, untold, ahead }: Findings,
  wrong: number,
  isBlurred: boolean,
): Verification['checksums'] {
  if (wrong > 0) return 'different'
  const comparable = checksum !== null && missing + unexpected + untold + ahead === 0 && !isBlurred
  return comparable ? 'equal' : 'not compared'
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count} rows`
}
