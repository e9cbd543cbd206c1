/** A host's own function on rows: imported in the lane, and called with each of them. */
import { pathToFileURL } from 'node:url'
import { DeliveryError, messageOf } from '../core/errors.ts'
import type { TransformRef } from './row-shape.ts'

/** The JSON of the row that is sent; null where the row is left out. Throws where it is refused. */
export type Transform = (json: string) => string | null

type RowFunction = (row: Record<string, unknown>) => unknown

const loaded = new Map<string, RowFunction>()

/** Before any `transformOf`. Throws `destination_misconfigured` where there is no such function. */
export async function loadTransform(ref: TransformRef | undefined): Promise<void> {
  if (!ref || loaded.has(keyOf(ref))) return
  const { module, export: name } = ref
  const url = module.startsWith('file:') ? module : pathToFileURL(module).href
  const found = await import(url).then(
    (exports: Record<string, unknown>) => exports[name],
    error => {
      throw misconfigured(`the transform's module ${module} cannot be imported: ${messageOf(error)}`, error)
    },
  )
  if (typeof found !== 'function') throw misconfigured(`the transform's module ${module} exports no function "${name}"`)
  loaded.set(keyOf(ref), found as RowFunction)
}

export function transformOf(ref: TransformRef): Transform {
  const transform = loaded.get(keyOf(ref))!
  const { bigints } = ref
  return json => {
    const row = JSON.parse(json) as Record<string, unknown>
    for (const name of bigints) if (typeof row[name] === 'string') row[name] = BigInt(row[name])
    const result = transform(row)
    return result === null ? null : jsonOf(result)
  }
}

/** Why a row is refused whose transform threw this. */
export function failureOf(error: unknown): string {
  return `the transform failed: ${messageOf(error)}`
}

function keyOf({ module, export: name }: TransformRef): string {
  return `${module}#${name}`
}

/**
 * BigInt has no JSON of its own. Those that are members of the row are replaced first: a function that looks at every value costs more
 * than all else. `undefined` is what forgetting to return gives, and must not lose rows.
 */
function jsonOf(result: unknown): string {
  if (!isPlain(result)) throw new TypeError(`it returned ${kindOf(result)}, neither a plain object nor null`)
  const json = withRawMembers(result)
  if (json?.startsWith('{')) return json
  throw new TypeError('it returned an object whose JSON is no object')
}

function withRawMembers(row: Record<string, unknown>): string | undefined {
  let copy: Record<string, unknown> | undefined
  for (const name in row) {
    if (typeof row[name] !== 'bigint') continue
    copy ??= { ...row }
    copy[name] = asNumber('', row[name])
  }
  try {
    return JSON.stringify(copy ?? row)
  } catch {
    return JSON.stringify(row, asNumber) // there is another one deeper down, or else the error comes again
  }
}

function asNumber(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? (JSON as RawJson).rawJSON(value.toString()) : value
}

/** ECMAScript 2026; TypeScript does not know it yet. */
type RawJson = JSON & { rawJSON(text: string): unknown }

function isPlain(result: unknown): result is Record<string, unknown> {
  if (typeof result !== 'object' || result === null) return false
  const prototype: unknown = Object.getPrototypeOf(result)
  return prototype === Object.prototype || prototype === null
}

function kindOf(result: unknown): string {
  if (typeof result !== 'object') return String(typeof result)
  return `an instance of ${result?.constructor.name ?? 'no class'}`
}

function misconfigured(message: string, cause?: unknown): DeliveryError {
  return new DeliveryError(message, { code: 'destination_misconfigured', cause })
}
