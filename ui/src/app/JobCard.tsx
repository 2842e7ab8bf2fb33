import { useCallback, useEffect, useRef, useState } from 'react'
import type { Job } from '../api'
import { useApp } from './context'
import { sentence, showTime } from './format'
import { Icon } from './icons'

const WORDS: Record<Job['state'], string> = {
  none: '',
  running: 'Running',
  done: 'Finished',
  failed: 'Failed',
  cancelled: 'Cancelled',
}
const RECONNECT = 3000

/** The job as the server has it, live while it runs. */
export function useJob(onEnd: () => void): [Job | null, (job: Job) => void] {
  const { client, report } = useApp()
  const [job, setJob] = useState<Job | null>(null)
  const isRunning = job?.state === 'running'
  const end = useRef(onEnd)
  end.current = onEnd

  useEffect(() => {
    client.job().then(setJob, report)
  }, [client, report])

  useEffect(() => {
    if (!isRunning) return
    let timer: ReturnType<typeof setTimeout> | undefined
    let source: EventSource
    const listen = () => {
      source = new EventSource(client.jobEvents)
      source.onmessage = ({ data }) => {
        const next: Job = JSON.parse(data)
        setJob(next)
        if (next.state !== 'running') {
          source.close()
          end.current()
        }
      }
      // The browser connects again by itself except after a refusal; then ask what happened.
      source.onerror = () => {
        source.close()
        timer = setTimeout(() => {
          client.job().then((now) => {
            setJob(now)
            if (now.state === 'running') listen()
            else end.current()
          }, listen)
        }, RECONNECT)
      }
    }
    listen()
    return () => {
      source.close()
      clearTimeout(timer)
    }
  }, [client, isRunning])

  return [job, setJob]
}

export function JobCard({ onEnd }: { onEnd(): void }) {
  const { client, session, notify } = useApp()
  const [job, setJob] = useJob(onEnd)
  const [isBusy, setBusy] = useState(false)
  const mayStart = session.role !== 'annotator'
  const isRunning = job?.state === 'running'

  const act = useCallback(
    async (run: () => Promise<unknown>) => {
      setBusy(true)
      try {
        await run()
        setJob(await client.job())
      } catch (error) {
        notify({ text: sentence(error), tone: 'bad' })
      } finally {
        setBusy(false)
      }
    },
    [client, notify, setJob],
  )

  return (
    <section className="card job">
      <header className="card-head">
        <h2>Train and ask again</h2>
        {job && job.state !== 'none' && (
          <span className={`state state-job-${job.state}`}>{WORDS[job.state]}</span>
        )}
      </header>
      <p className="muted">
        Trains on all labels, scores the pool and chooses the next items. You can go on labelling
        meanwhile.
      </p>
      {isRunning && <Progress job={job} />}
      {job && job.state === 'failed' && (
        <p className="problem" role="alert">
          <Icon name="warn" size={16} /> {job.line ?? 'The training stopped.'}
        </p>
      )}
      {job && job.state !== 'none' && job.lines?.length > 0 && (
        <details className="log" open={job.state === 'failed'}>
          <summary>
            Log{job.started ? ` · started ${showTime(job.started)}` : ''}
            {job.by ? ` by ${job.by}` : ''}
          </summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
          <pre tabIndex={0}>{job.lines.join('\n')}</pre>
        </details>
      )}
      {mayStart ? (
        <div className="job-actions">
          {isRunning ? (
            <button
              type="button"
              className="button"
              disabled={isBusy}
              onClick={() => act(() => client.cancelJob())}
            >
              <Icon name="stop" size={15} /> Cancel
            </button>
          ) : (
            <button
              type="button"
              className="button button-main"
              disabled={isBusy}
              onClick={() => act(() => client.startJob())}
            >
              <Icon name="play" size={15} /> Train and ask again
            </button>
          )}
        </div>
      ) : (
        <p className="muted">A reviewer or the owner starts the training.</p>
      )}
    </section>
  )
}

function Progress({ job }: { job: Job }) {
  const isCounted = job.of !== null && job.of > 0 && job.done !== null
  return (
    <div className="job-progress" role="status">
      <div className="job-line">
        <span>{job.what ?? 'Starting'}</span>
        {isCounted && (
          <span className="number">
            {job.done} of {job.of}
          </span>
        )}
      </div>
      {isCounted ? (
        <progress max={job.of!} value={job.done!} aria-label={job.what ?? 'Progress'} />
      ) : (
        <progress aria-label={job.what ?? 'Progress'} />
      )}
    </div>
  )
}
