/** Whether what arrived is what the warehouse has. */
import { join } from 'node:path'
import { loadDriver } from '../../core/driver.ts'
import { asDeliveryError } from '../../sinks/kafka/errors.ts'
import { quoteIdentifier, quoteLiteral } from '../../sources/sql.ts'
import { formatCount } from '../format.ts'
import { TOPIC } from './sample.ts'

/**
 * Counts the rows of a query and of the files, and sums a hash of every row of both: DuckDB's own hash over the typed values,
 * so that it is the values that are compared, read by another program than the one that wrote them.
 */
export async function checkFiles(
  database: string,
  query: string,
  out: string,
  say: (text: string) => void,
): Promise<boolean> {
  const { DuckDBInstance } = await loadDriver('@duckdb/node-api', () => import('@duckdb/node-api'))
  const instance = await DuckDBInstance.create(database, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  try {
    const columns = (await connection.runAndReadAll(`DESCRIBE ${query}`)).getRowObjectsJson()
    const types = columns.map(
      each => `${quoteLiteral(String(each['column_name']))}: ${quoteLiteral(String(each['column_type']))}`,
    )
    const files = `read_json(${quoteLiteral(join(out, '*.jsonl'))}, format = 'newline_delimited', columns = {${types.join(', ')}})`
    const names = columns.map(each => quoteIdentifier(String(each['column_name']))).join(', ')
    const sums = await Promise.all(
      [`(${query})`, files].map(async from => {
        const sql = `SELECT count(*)::VARCHAR AS rows, coalesce(sum(hash(${names})::HUGEINT), 0)::VARCHAR AS checksum FROM ${from}`
        const [row] = (await connection.runAndReadAll(sql)).getRowObjectsJson()
        return { rows: String(row!['rows']), checksum: String(row!['checksum']) }
      }),
    )
    const [expected, actual] = sums as [(typeof sums)[0], (typeof sums)[0]]
    const right = expected.rows === actual.rows && expected.checksum === actual.checksum
    say(`  warehouse: ${formatCount(Number(expected.rows))} rows, checksum ${expected.checksum}`)
    say(
      `  files:     ${formatCount(Number(actual.rows))} rows, checksum ${actual.checksum}: ${right ? 'equal' : 'DIFFERENT'}`,
    )
    return right
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** How many records the demo's topic holds, by its offsets; 0 where it does not exist yet. */
export async function checkTopic(brokers: string): Promise<number> {
  const { Admin, ListOffsetTimestamps } = await loadDriver('@platformatic/kafka', () => import('@platformatic/kafka'))
  const admin = new Admin({ clientId: 'millrace-demo', bootstrapBrokers: brokers.split(','), retries: 0 })
  try {
    if (!(await admin.listTopics()).includes(TOPIC)) return 0
    const metadata = await admin.metadata({ topics: [TOPIC] })
    const partitions = [...Array(metadata.topics.get(TOPIC)!.partitionsCount).keys()]
    const count = async (timestamp: bigint): Promise<number> => {
      const [topic] = await admin.listOffsets({
        topics: [{ name: TOPIC, partitions: partitions.map(partitionIndex => ({ partitionIndex, timestamp })) }],
      })
      return topic!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0)
    }
    return (await count(ListOffsetTimestamps.LATEST)) - (await count(ListOffsetTimestamps.EARLIEST))
  } catch (error) {
    throw asDeliveryError(`the topic ${TOPIC} at ${brokers} cannot be counted`, error)
  } finally {
    await admin.close()
  }
}
