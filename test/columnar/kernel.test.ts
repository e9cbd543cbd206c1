import { afterEach, describe, expect, test, vi } from 'vitest'
import { type EncoderPlan, openEncoder } from '../../src/columnar/encoder.ts'
import { JavaScriptEncoder } from '../../src/columnar/javascript-encoder.ts'
import { chooseKernel, kernelChoice } from '../../src/columnar/kernel.ts'
import { KernelEncoder } from '../../src/columnar/kernel-encoder.ts'
import { ConfigError } from '../../src/core/errors.ts'

const plan: EncoderPlan = {
  encoding: { kind: 'rows' },
  batchRows: 1,
  batchBytes: 1,
  stableBatches: false,
  checksums: false,
}

describe('the choice of an encoder', () => {
  afterEach(() => vi.unstubAllEnvs())

  test('is the kernel where it can be had, and where it is asked for', () => {
    for (const wanted of [undefined, '', 'wasm']) {
      const { kernel, reason } = chooseKernel(wanted)
      expect(kernel?.exports.encodeRows).toBeTypeOf('function')
      expect(reason).toBeUndefined()
    }
  })

  test('is JavaScript where that is asked for, and says so', () => {
    expect(chooseKernel('javascript')).toEqual({
      kernel: undefined,
      reason: 'MILLRACE_KERNEL asks for JavaScript',
    })
  })

  test('is an error where it is neither', () => {
    expect(() => chooseKernel('wasn')).toThrow(ConfigError)
    expect(() => chooseKernel('wasn')).toThrow('MILLRACE_KERNEL must be "wasm" or "javascript", not "wasn"')
  })

  test('is made once in a thread', () => {
    expect(kernelChoice()).toBe(kernelChoice())
    const encoder = openEncoder(plan, length => new Uint8Array(length))
    expect(encoder).toBeInstanceOf(KernelEncoder)
    encoder.close()
  })

  test('follows the environment', async () => {
    vi.stubEnv('MILLRACE_KERNEL', 'javascript')
    vi.resetModules()
    const fresh = await import('../../src/columnar/encoder.ts')
    const encoder = fresh.openEncoder(plan, length => new Uint8Array(length))
    expect(encoder.constructor.name).toBe(JavaScriptEncoder.name)
  })
})
