import { useCallback, useEffect, useState } from 'react'
import type { Queue, QueueItem, QueueState } from '../api'
import { useApp } from './context'
import { plural, sentence, showMinutes } from './format'
import { Icon } from './icons'
import { goTo, linkTo } from './route'
import { Thumbnail } from './Thumbnail'

const WORDS: Record<QueueState, string> = {
  open: 'Open',
  mine: 'Started by you',
  taken: 'Taken',
  labelled: 'Labelled',
  skipped: 'Skipped',
}
const REFRESH = 15_000

export function useQueue(): { queue: Queue | null; problem: string | null; reload(): void } {
  const { client, report } = useApp()
  const [queue, setQueue] = useState<Queue | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const reload = useCallback(() => {
    client.queue().then(
      (found) => {
        setQueue(found)
        setProblem(null)
      },
      (error) => {
        report(error)
        setProblem(sentence(error))
      },
    )
  }, [client, report])
  useEffect(() => {
    reload()
    const timer = setInterval(() => {
      if (!document.hidden) reload()
    }, REFRESH)
    return () => clearInterval(timer)
  }, [reload])
  return { queue, problem, reload }
}

/** What to open when somebody just wants to go on: own work first, then the order of the round. */
export function firstOpen(items: readonly QueueItem[]): QueueItem | null {
  const byOrder = [...items].sort((a, b) => a.order - b.order)
  return (
    byOrder.find((item) => item.state === 'mine') ??
    byOrder.find((item) => item.state === 'open') ??
    null
  )
}

export function QueuePage() {
  const { queue, problem } = useQueue()
  const [isOpenOnly, setOpenOnly] = useState(false)

  if (!queue) {
    return (
      <main className="page">
        <p className="muted" role="status">
          {problem ?? 'Loading the queue …'}
        </p>
      </main>
    )
  }
  const done = queue.items.filter(({ state }) => state === 'labelled' || state === 'skipped').length
  const first = firstOpen(queue.items)
  const shown = queue.items
    .filter(({ state }) => !isOpenOnly || state === 'open' || state === 'mine')
    .sort((a, b) => a.order - b.order)

  return (
    <main className="page">
      <header className="page-head">
        <div>
          <h1>{queue.round === null ? 'Queue' : `Round ${queue.round + 1}`}</h1>
          <p className="muted">
            {queue.items.length === 0
              ? 'No round has been asked yet.'
              : `${plural(queue.items.length, 'item')}${queue.strategy ? ` chosen by ${queue.strategy}` : ''} · about ${showMinutes(queue.minutes_left)} left`}
          </p>
        </div>
        {queue.items.length > 0 && (
          <div className="page-actions">
            <label className="check">
              <input
                type="checkbox"
                checked={isOpenOnly}
                onChange={(event) => setOpenOnly(event.target.checked)}
              />
              Open only
            </label>
            <button
              type="button"
              className="button button-main"
              disabled={!first}
              onClick={() => first && goTo({ page: 'item', id: first.item })}
            >
              <Icon name="play" size={15} /> {first?.state === 'mine' ? 'Go on' : 'Label next'}
            </button>
          </div>
        )}
      </header>
      {problem && <p className="problem">{problem}</p>}
      {queue.items.length > 0 && (
        <div className="progress-line">
          <progress max={queue.items.length} value={done} aria-label="Items answered" />
          <span>
            {done} of {queue.items.length} answered
          </span>
        </div>
      )}
      {queue.items.length === 0 ? (
        <Empty />
      ) : (
        <ol className="queue">
          {shown.map((item) => (
            <Row key={item.item} item={item} />
          ))}
        </ol>
      )}
      {queue.items.length > 0 && !first && (
        <p className="muted queue-end">
          Every item of this round is answered or taken.{' '}
          <a href={linkTo({ page: 'dashboard' })}>Train and ask again</a>
        </p>
      )}
    </main>
  )
}

function Row({ item }: { item: QueueItem }) {
  const { user } = useApp().session
  const isClosed = item.state === 'labelled' || item.state === 'skipped'
  return (
    <li className={isClosed ? 'queue-row is-closed' : 'queue-row'}>
      <a href={linkTo({ page: 'item', id: item.item })}>
        <span className="queue-order">{item.order + 1}</span>
        <Thumbnail id={item.item} />
        <span className="queue-what">
          <span className="queue-name">{item.item}</span>
          <span className="queue-reason">{item.reason}</span>
        </span>
        <span className="queue-tags">
          {item.audit && (
            <span className="tag" title="Drawn at random from the test set, to score the model">
              audit
            </span>
          )}
          {item.reading === 2 && (
            <span className="tag" title="Somebody else has labelled it; you see nothing of that">
              second reading
            </span>
          )}
          {item.control && (
            <span className="tag" title="Drawn at random, to compare the strategy's picks with">
              control
            </span>
          )}
        </span>
        <span className="queue-minutes">{isClosed ? '' : showMinutes(item.minutes)}</span>
        <span className={`state state-${item.state}`}>
          {WORDS[item.state]}
          {item.by && item.state !== 'mine' ? ` by ${item.by === user ? 'you' : item.by}` : ''}
        </span>
      </a>
    </li>
  )
}

function Empty() {
  return (
    <div className="card empty">
      <h2>Nothing to label yet</h2>
      <p>Ask for the first items on the progress page.</p>
      <a className="button button-main" href={linkTo({ page: 'dashboard' })}>
        To the progress page
      </a>
    </div>
  )
}
