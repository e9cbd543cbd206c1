/** The names that a misspelt one may have been meant to be, the nearest first; at most three. Capitals do not count. */
export function closest(name: string, names: readonly string[]): readonly string[] {
  const wanted = name.toLowerCase()
  const most = Math.max(2, Math.floor(wanted.length / 3))
  return names
    .map(each => ({ each, distance: editDistance(wanted, each.toLowerCase()) }))
    .filter(({ distance }) => distance <= most)
    .toSorted((left, right) => left.distance - right.distance)
    .slice(0, 3)
    .map(({ each }) => each)
}

/** Insertions, deletions and substitutions (Levenshtein), by rows of the table of Wagner and Fischer. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const substituted = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substituted))
    }
    row = next
  }
  return row[right.length]!
}
