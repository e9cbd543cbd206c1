import type { PublishBatchCommandOutput, SNSClient } from '@aws-sdk/client-sns'
import type { LimitFunction } from 'p-limit'
import { DeliveryError } from '../../core/errors.ts'
import { type Sns, timed } from './client.ts'
import { asDeliveryError, asRowError, isRefusal } from './errors.ts'
import { type Message, valuesOf } from './messages.ts'
import type { SnsSettings } from './options.ts'
import type { Chain } from './requests.ts'

/** The requests of one write, and what became of its rows. */
export class Publication {
  readonly #sns: Sns
  readonly #client: SNSClient
  readonly #settings: SnsSettings
  readonly #limit: LimitFunction
  readonly #signals: readonly AbortSignal[]
  readonly #failed = new Map<number, DeliveryError>()
  /** A whole request failed, as would those that were not begun: they are not. */
  #stopped: DeliveryError | undefined

  constructor(
    sns: Sns,
    client: SNSClient,
    settings: SnsSettings,
    limit: LimitFunction,
    signals: readonly AbortSignal[],
  ) {
    this.#sns = sns
    this.#client = client
    this.#settings = settings
    this.#limit = limit
    this.#signals = signals
  }

  /**
   * Settles when no request is under way any more: with the rows that SNS did not take, by position. Rejects when a signal aborts, and
   * with what the set-up is wrong in.
   */
  async publish(chains: readonly Chain[]): Promise<ReadonlyMap<number, DeliveryError>> {
    await Promise.all(chains.map(chain => this.#follow(chain)))
    for (const signal of this.#signals) signal.throwIfAborted()
    if (this.#stopped?.code === 'destination_misconfigured') throw this.#stopped
    return this.#failed
  }

  /** Behind rows that are to be tried again no others go, so that none overtakes one of its group. */
  async #follow(chain: Chain): Promise<void> {
    for (const [index, request] of chain.entries()) {
      const waiting = await this.#limit(() => this.#send(request))
      if (waiting === undefined) continue
      for (const { row } of chain.slice(index + 1).flat()) this.#failed.set(row, waiting)
      return
    }
  }

  /** Never rejects. Answers why some of the messages are to be tried again, if any are. */
  async #send(messages: readonly Message[]): Promise<DeliveryError | undefined> {
    if (this.#stopped || this.#signals.some(({ aborted }) => aborted))
      return this.#fail(messages, this.#stopped ?? UNSENT)
    try {
      return this.#judge(messages, await this.#request(messages))
    } catch (error) {
      const failure = error instanceof DeliveryError ? error : asDeliveryError(this.#where, error)
      if (!isRefusal(error)) {
        this.#stopped = failure
        return this.#fail(messages, failure)
      }
      // for what one message is: the others go without it
      if (messages.length === 1) return this.#fail(messages, failure)
      const half = Math.ceil(messages.length / 2)
      const waiting = await this.#send(messages.slice(0, half))
      return waiting ? this.#fail(messages.slice(half), waiting) : this.#send(messages.slice(half))
    }
  }

  #request(messages: readonly Message[]): Promise<PublishBatchCommandOutput> {
    const command = new this.#sns.PublishBatchCommand({
      TopicArn: this.#settings.topicArn,
      PublishBatchRequestEntries: messages.map(({ entry }, index) => ({ Id: String(index), ...entry })),
    })
    return timed(this.#settings, this.#signals, options => this.#client.send(command, options))
  }

  /** A message counts as taken only where the answer says so. */
  #judge(messages: readonly Message[], answer: PublishBatchCommandOutput): DeliveryError | undefined {
    const taken = new Set(answer.Successful?.map(({ Id }) => Id))
    const failures = new Map(answer.Failed?.map(failure => [failure.Id, failure]))
    let waiting: DeliveryError | undefined
    for (const [index, message] of messages.entries()) {
      const failure = failures.get(String(index))
      if (taken.has(String(index)) && !failure) continue
      const nothing = { Id: undefined, Code: 'no answer for a message', SenderFault: false }
      waiting = this.#fail([message], asRowError(this.#where, failure ?? nothing, valuesOf(message))) ?? waiting
    }
    return waiting
  }

  /** Answers the reason if it may pass. */
  #fail(messages: readonly Message[], reason: DeliveryError): DeliveryError | undefined {
    for (const { row } of messages) this.#failed.set(row, reason)
    return reason.retryable ? reason : undefined
  }

  get #where(): string {
    return `SNS topic ${this.#settings.topicArn}`
  }
}

/** Nobody hears it: the write rejects with the signal's reason. */
const UNSENT = new DeliveryError('not sent', { retryable: true })
