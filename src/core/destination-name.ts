/** A destination as requests name it. */
export interface DestinationName {
  readonly type: string
  readonly name: string
}

/** As messages have it, and the key of `Settings.destinations`. */
export function nameOf({ type, name }: DestinationName): string {
  return `${type}/${name}`
}

export function findNamed<Named extends DestinationName>(
  all: readonly Named[],
  { type, name }: DestinationName,
): Named | undefined {
  return all.find(each => each.type === type && each.name === name)
}
