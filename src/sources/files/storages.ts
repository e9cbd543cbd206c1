/** Which storage has what place, and which place has what file. */
import { SourceError } from '../../core/errors.ts'
import type { FileAccess, StagedFile } from '../source.ts'
import { gcsStorage, isGcs } from './gcs.ts'
import { httpStorage, isUrl } from './http.ts'
import { localStorage } from './local.ts'
import type { FilesSettings, GcsOptions, S3Options, TableSettings } from './options.ts'
import { isS3, s3Storage } from './s3.ts'
import type { Place, Storage } from './storage.ts'

export class Storages {
  readonly #s3: Storage
  readonly #gcs: Storage

  constructor({ s3, gcs }: Pick<FilesSettings, 's3' | 'gcs'>) {
    this.#s3 = s3Storage(s3 as S3Options)
    this.#gcs = gcsStorage(gcs as GcsOptions)
  }

  of({ pattern }: Place): Storage {
    if (isS3(pattern)) return this.#s3
    if (isGcs(pattern)) return this.#gcs
    return isUrl(pattern) ? httpStorage : localStorage
  }

  /** Names come from the store, and the catalogue may have changed since: a file of none of the tables is refused. */
  async access(tables: readonly TableSettings[], file: StagedFile, signal: AbortSignal): Promise<FileAccess> {
    for (const place of tables.flatMap(placesOf)) {
      const storage = this.of(place)
      if (storage.owns(place, file.name)) return storage.access(place, file, signal)
    }
    const problem = `${JSON.stringify(file.name.slice(0, 1_000))} is not one of the files of this source`
    throw new SourceError(`${problem}: resume the job with the \`files\` that it was started with`, {
      retryable: false,
    })
  }

  async close(): Promise<void> {
    await this.#s3.close?.()
  }
}

export function placesOf({ files, headers }: TableSettings): readonly Place[] {
  return files.map(pattern => ({ pattern, headers }))
}
