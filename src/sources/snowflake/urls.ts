/** Presigned URLs: lanes read the files from where the stage keeps them, in ranges. */
import type { FileAccess } from '../source.ts'
import { quoteLiteral } from './literals.ts'
import type { StageLocation } from './location.ts'
import type { Sessions } from './sessions.ts'
import { execute } from './statements.ts'

/**
 * A URL of the file at `path` on the stage. A new one each time: who asks again may have been refused the last one, whatever its life was to
 * be. Snowflake signs URLs of files that are not there, too; reading finds that out.
 */
export async function presignedUrl(
  sessions: Sessions,
  { stage }: StageLocation,
  path: string,
  lifetimeSeconds: number,
): Promise<FileAccess> {
  const begunMs = Date.now()
  const sql = `SELECT GET_PRESIGNED_URL(${stage}, ${quoteLiteral(path)}, ${lifetimeSeconds}) AS URL`
  const [row] = await sessions.use(connection => execute(connection, 'cannot get a URL for a staged file', sql))
  return { url: String(row!['URL']), expiresAt: new Date(begunMs + lifetimeSeconds * 1_000).toISOString() }
}
