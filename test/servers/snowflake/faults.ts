/** What a test makes go wrong. Each fault happens as often as it was asked for, and then no more. */
export class Faults {
  readonly #armed: Fault[] = []
  /** Which faults happened, in order. */
  readonly happened: string[] = []

  /** The next `times` requests whose method, path and body match fail so. */
  request(name: string, where: RegExp, how: RequestFault['how'], times = 1): void {
    for (let time = 0; time < times; time++) this.#armed.push({ name, kind: 'request', where, how })
  }

  /** The next unload ends so once it has written `files` files, which stay. */
  unload(name: string, how: UnloadFault['how'], files = 1): void {
    this.#armed.push({ name, kind: 'unload', how, files })
  }

  /** The next `times` answers with bytes of staged files are so. */
  body(name: string, how: BodyFault['how'], times = 1): void {
    for (let time = 0; time < times; time++) this.#armed.push({ name, kind: 'body', how })
  }

  takeRequest(text: string): RequestFault | undefined {
    return this.#take((fault): fault is RequestFault => fault.kind === 'request' && fault.where.test(text))
  }

  takeUnload(files: number): UnloadFault | undefined {
    return this.#take((fault): fault is UnloadFault => fault.kind === 'unload' && files >= fault.files)
  }

  takeBody(): BodyFault | undefined {
    return this.#take((fault): fault is BodyFault => fault.kind === 'body')
  }

  #take<T extends Fault>(fits: (fault: Fault) => fault is T): T | undefined {
    const index = this.#armed.findIndex(fits)
    if (index < 0) return undefined
    const [fault] = this.#armed.splice(index, 1) as [T]
    this.happened.push(fault.name)
    return fault
  }
}

interface RequestFault {
  readonly name: string
  readonly kind: 'request'
  readonly where: RegExp
  /** A status; `drop`: the connection ends unanswered; `drop-after`: it does when all was done; `expired`: the session's token is; `ended`: the session is gone. */
  readonly how: number | 'drop' | 'drop-after' | 'expired' | 'ended'
}

interface UnloadFault {
  readonly name: string
  readonly kind: 'unload'
  /** `killed`: as SYSTEM$CANCEL_QUERY does; `incident`: an error inside Snowflake; a promise: holds it up until that resolves. */
  readonly how: 'killed' | 'incident' | Promise<void>
  readonly files: number
}

interface BodyFault {
  readonly name: string
  readonly kind: 'body'
  /** `truncated`: half of it, then the connection ends; `short`: half of it as if it were all; `expired`: the URL is; `slow`: in pieces; or a status. */
  readonly how: 'truncated' | 'short' | 'expired' | 'slow' | number
}

type Fault = RequestFault | UnloadFault | BodyFault
