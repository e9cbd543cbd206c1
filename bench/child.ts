/** What every contestant's program shares: its settings are one JSON argument, its result is one JSON line on standard output. */
import { readFile } from 'node:fs/promises'

/** One pass over the data, after a warm-up pass in the same process. */
export interface Measurement {
  readonly rows: number
  /** From the first read to the last acknowledgement. */
  readonly seconds: number
  /** Of all threads of the process, over the same time. */
  readonly cpuSeconds: number
  /** Of the whole life of the process. */
  readonly peakRssMb: number
  /** What only some programs measure: delays of the event loop, checkpoints. */
  readonly [extra: string]: number
}

export function settings<T>(): T {
  return JSON.parse(process.argv[2]!)
}

/** `work` answers how many rows it dealt with. */
export async function measured(work: () => Promise<number>): Promise<Measurement> {
  const cpu = process.cpuUsage()
  const started = performance.now()
  const rows = await work()
  const seconds = (performance.now() - started) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { rows, seconds, cpuSeconds: (user + system) / 1e6, peakRssMb: await peakRssMb() }
}

export function print(measurement: Measurement): void {
  process.stdout.write(`${JSON.stringify(measurement)}\n`)
}

/** Not `resourceUsage()` on Linux: there its maximum begins with that of the process that started this one. */
async function peakRssMb(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '')
  const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? process.resourceUsage().maxRSS
  return Math.round(Number(kilobytes) / 1_024)
}
