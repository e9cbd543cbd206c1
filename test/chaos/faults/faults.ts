import { broker } from './broker.ts'
import { cancellation } from './cancellation.ts'
import { clock } from './clock.ts'
import { connections } from './connections.ts'
import { corruption } from './corruption.ts'
import { disk } from './disk.ts'
import type { Fault } from './fault.ts'
import { owners } from './owners.ts'
import { refusal } from './refusal.ts'

/** All but the kills, which come with every job. */
export const FAULTS: readonly Fault[] = [owners, connections, corruption, refusal, broker, disk, cancellation, clock]
