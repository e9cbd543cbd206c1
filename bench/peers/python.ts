/** The peers that need Python: an environment of their own in `.cache/bench`, and the jars of Spark's Kafka sink. */
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hasCommand, run } from '../../test/servers/process.ts'
import { CACHE } from '../data.ts'

const REQUIREMENTS = fileURLToPath(new URL('./requirements.txt', import.meta.url))

export interface Missing {
  readonly missing: string
}

/** The path of a Python with the peers' packages. */
export async function pythonWithPeers(): Promise<string | Missing> {
  if (!(await hasCommand('python3', '-m', 'venv', '--help'))) return { missing: 'needs python3 with venv' }
  const environment = join(CACHE, 'python')
  const python = join(environment, 'bin', 'python')
  const wanted = await readFile(REQUIREMENTS, 'utf8')
  const marker = join(environment, 'requirements.txt')
  if ((await readFile(marker, 'utf8').catch(() => '')) === wanted) return python
  try {
    await mkdir(CACHE, { recursive: true })
    await run('python3', ['-m', 'venv', '--clear', environment])
    await run(python, ['-m', 'pip', 'install', '--quiet', '--requirement', REQUIREMENTS])
  } catch (error) {
    return { missing: `pip could not install the packages: ${reason(error)}` }
  }
  await writeFile(marker, wanted)
  return python
}

/** Jars that Spark itself does not bring. Needs Java, and Maven the first time. */
export async function sparkJars(): Promise<readonly string[] | Missing> {
  if (!(await hasCommand('java', '-version'))) return { missing: 'needs Java 17' }
  const version = /^pyspark==(.+)$/m.exec(await readFile(REQUIREMENTS, 'utf8'))![1]!
  const jars = join(CACHE, `spark-kafka-${version}`)
  if (!(await exists(jars))) {
    if (!(await hasCommand('mvn', '-v'))) return { missing: "needs Maven for Spark's Kafka sink" }
    try {
      await download(version, jars)
    } catch (error) {
      return { missing: `Maven could not get Spark's Kafka sink: ${reason(error)}` }
    }
  }
  return (await readdir(jars)).map(name => join(jars, name))
}

async function download(version: string, jars: string): Promise<void> {
  const partial = `${jars}.${process.pid}.partial`
  const pom = `${partial}.xml`
  await mkdir(partial, { recursive: true })
  // Spark brings Scala and Hadoop
  await writeFile(
    pom,
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
      <groupId>millrace</groupId><artifactId>bench-spark</artifactId><version>1</version>
      <dependencies><dependency>
        <groupId>org.apache.spark</groupId><artifactId>spark-sql-kafka-0-10_2.13</artifactId><version>${version}</version>
        <exclusions>
          <exclusion><groupId>org.scala-lang</groupId><artifactId>*</artifactId></exclusion>
          <exclusion><groupId>org.apache.hadoop</groupId><artifactId>*</artifactId></exclusion>
        </exclusions>
      </dependency></dependencies></project>`,
  )
  try {
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${partial}`])
    await rename(partial, jars)
  } finally {
    await rm(partial, { recursive: true, force: true })
    await rm(pom, { force: true })
  }
}

function reason(error: unknown): string {
  const { stderr = '', message } = error as Error & { readonly stderr?: string }
  return (stderr.trim() || message).split('\n').at(-1)!
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
