import type { Sample } from '../core/dry-run.ts'
import type { Engine } from '../core/engine.ts'
import type { Estimate } from '../sources/source.ts'
import { formatBytes, formatCount, formatTable } from './format.ts'
import type { Preview, RunPlan } from './plan.ts'

/** Prints what a run would do, and answers the exit code. */
export async function dryRun(engine: Engine, plan: Pick<RunPlan, 'preview'>, json: boolean): Promise<number> {
  try {
    const preview = await plan.preview(engine)
    process.stdout.write(json ? `${JSON.stringify(preview)}\n` : previewText(preview))
    return 0
  } finally {
    await engine.close()
  }
}

function previewText({ estimate, samples }: Preview): string {
  const { sql, columns } = estimate
  const statements = sql.length === 0 ? '' : `\n${sql.map(statement => `${statement};\n`).join('')}`
  const header = ['COLUMN', 'TYPE', 'STAGED AS']
  const plan = formatTable([header, ...columns.map(({ name, native, staged }) => [name, native, staged])])
  return `${formatTable(factsOf(estimate))}${statements}\n${plan}${samples.map(sampleText).join('')}`
}

function factsOf({ rows, files, bytes }: Estimate): [string, string][] {
  return [
    ['rows', rows === null ? 'not known' : formatCount(rows)],
    ['files', files === null ? 'not known' : `about ${formatCount(files)}`],
    ['bytes', bytes === null ? 'not known' : `about ${formatBytes(bytes)}`],
  ]
}

function sampleText({ type, name, key, id, payload }: Sample): string {
  const facts = Object.entries({ key, id, payload }).filter(([, value]) => value !== null)
  return `\na row for ${type}:${name}\n${formatTable(facts.map(([what, value]) => [`  ${what}`, value!]))}`
}
