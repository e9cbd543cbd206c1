import { Command } from 'commander'
import { wishOf } from '../core/wishes.ts'
import { configOption, requireJob, type StoreFlags, storeOption, withStore } from './store-access.ts'

export function pauseCommand(done: (exitCode: number) => void): Command {
  return createCommand('pause', true, done).description(
    'Let a job send nothing more until it is resumed, whichever process runs it. What is in flight settles, a window that is being staged is staged to its end.',
  )
}

export function resumeCommand(done: (exitCode: number) => void): Command {
  return createCommand('resume', false, done).description('Let a paused job go on, in the process that runs it.')
}

function createCommand(name: string, pause: boolean, done: (exitCode: number) => void): Command {
  return new Command(name)
    .argument('<job-id>')
    .addOption(storeOption())
    .addOption(configOption())
    .action(async (jobId: string, flags: StoreFlags) => {
      await withStore(flags, async store => {
        await requireJob(store, jobId)
        await wishOf(store, jobId, { pause })
      })
      process.stdout.write(`asked job ${jobId} to ${name}\n`)
      done(0)
    })
}
