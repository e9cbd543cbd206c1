/** For clients of the tests' own, which give up early where the machine is busy: a few attempts, of which the last one's error counts. */
export async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 4; left > 0; left--) {
    try {
      return await work()
    } catch {
      await new Promise(resolve => setTimeout(resolve, 1_000))
    }
  }
  return work()
}
