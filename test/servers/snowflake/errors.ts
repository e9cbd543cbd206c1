/** A statement that Snowflake refuses, with its code and SQLSTATE. */
export class Refusal extends Error {
  readonly code: string
  readonly sqlState: string
  constructor(code: string, sqlState: string, message: string) {
    super(message)
    this.code = code
    this.sqlState = sqlState
  }
}

export const missingObject = (what: string, name: string): Refusal =>
  new Refusal('002003', '02000', `SQL compilation error:\n${what} '${name}' does not exist or not authorized.`)

export const invalidIdentifier = (name: string): Refusal =>
  new Refusal('000904', '42000', `SQL compilation error: error line 1 at position 0\ninvalid identifier '${name}'`)

export const syntaxError = (near: string): Refusal =>
  new Refusal('001003', '42000', `SQL compilation error:\nsyntax error line 1 at position 0 unexpected '${near}'.`)
