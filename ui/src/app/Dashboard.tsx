import { useCallback, useEffect, useState } from 'react'
import type { CurvePoint, Dashboard } from '../api'
import { AgreementCard } from './AgreementCard'
import { ControlCard } from './ControlCard'
import { useApp } from './context'
import { Figure, type FigureJson, useFigures } from './Figure'
import { plural, sentence, showMinutes, showScore } from './format'
import { JobCard } from './JobCard'
import { MapCard, TestCard } from './PoolCards'
import { prefer, usePreferences } from './preferences'
import { linkTo } from './route'

type Metric = 'dice' | 'hd95'

export function DashboardPage() {
  const { client, project, report } = useApp()
  const [found, setFound] = useState<Dashboard | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const load = useCallback(() => {
    client.dashboard().then(setFound, (error) => {
      report(error)
      setProblem(sentence(error))
    })
  }, [client, report])
  useEffect(load, [load])

  if (!found) {
    return (
      <main className="page">
        <p className="muted" role="status">
          {problem ?? 'Loading …'}
        </p>
      </main>
    )
  }
  const last = found.curve.at(-1) ?? null
  const before = found.curve.at(-2) ?? null
  return (
    <main className="page">
      <header className="page-head">
        <div>
          <h1>Progress</h1>
          <p className="muted">{project.name}</p>
        </div>
      </header>
      <div className="tiles">
        <Tile title="Labels" value={String(countLabels(found.labels))} note={kinds(found.labels)} />
        <Tile title="Time spent" value={showMinutes(found.minutes)} note="active time only" />
        <Tile
          title="Dice on the test set"
          value={showScore(last?.dice)}
          note={change(last?.dice, before?.dice)}
        />
        <Tile
          title="Surface distance (95 %)"
          value={last?.hd95 == null ? '–' : last.hd95.toFixed(1)}
          note={last?.hd95 == null ? 'not measured yet' : 'lower is better'}
        />
      </div>
      <div className="dashboard">
        <div className="stack">
          <CurveCard curve={found.curve} />
          <TestCard trainings={found.curve.length} />
          <MapCard trainings={found.curve.length} />
        </div>
        <div className="stack">
          <section className="card next">
            <h2>What next</h2>
            <p>{sentence(withoutCommand(found.next))}.</p>
            {found.stop && <p className="muted">{sentence(found.stop.sentence)}.</p>}
            <a className="button" href={linkTo({ page: 'queue' })}>
              To the queue
            </a>
          </section>
          <JobCard onEnd={load} />
          {last && <ClassScores now={last} before={before} />}
          {found.agreement && <AgreementCard agreement={found.agreement} />}
          {found.control && <ControlCard control={found.control} />}
        </div>
      </div>
    </main>
  )
}

function Tile({ title, value, note }: { title: string; value: string; note: string }) {
  return (
    <div className="card tile">
      <span className="tile-title">{title}</span>
      <span className="tile-value">{value}</span>
      <span className="muted">{note}</span>
    </div>
  )
}

const countLabels = (labels: Dashboard['labels']) => labels.mask + labels.scribble

const kinds = (labels: Dashboard['labels']) =>
  `${plural(labels.mask, 'mask')}, ${plural(labels.scribble, 'scribble')}`

function change(now: number | null | undefined, before: number | null | undefined): string {
  if (now == null) return 'train once to see it'
  if (before == null) return 'first training'
  const by = now - before
  return `${by >= 0 ? '+' : '−'}${Math.abs(by).toFixed(3)} since the last training`
}

function CurveCard({ curve }: { curve: CurvePoint[] }) {
  const { axis } = usePreferences()
  const [metric, setMetric] = useState<Metric>('dice')
  const found = useFigures<Record<string, FigureJson>>('curve', curve.length)
  const figure = found?.[`${metric}-${axis}`]
  const points = curve.flatMap((point, i) => {
    const y = point[metric]
    if (y === null) return []
    const score = metric === 'dice' ? showScore(y) : y.toFixed(1)
    const cost = `${plural(point.items, 'item')}, ${showMinutes(point.minutes)}`
    return [`Training ${i + 1} · ${cost}: ${score}`]
  })
  return (
    <section className="card">
      <header className="card-head">
        <h2>Learning curve</h2>
        <Choice<Metric>
          label="Score"
          value={metric}
          options={[
            ['dice', 'Dice'],
            ['hd95', 'Distance'],
          ]}
          onChange={setMetric}
        />
        <Choice
          label="Cost"
          value={axis}
          options={[
            ['minutes', 'Minutes'],
            ['items', 'Items'],
          ]}
          onChange={(next) => prefer({ axis: next })}
        />
      </header>
      {points.length > 0 && figure && (
        <Figure
          figure={figure}
          label={points.join('; ')}
          xTitle={axis === 'items' ? 'Labelled items' : 'Minutes of labelling'}
          yTitle={metric === 'dice' ? 'Dice (test set)' : '95 % surface distance'}
        />
      )}
      {points.length > 0 && found === undefined && (
        <p className="muted chart-empty">The curve is drawn at the next training.</p>
      )}
      {points.length > 0 && metric === 'dice' && curve.some(({ interval }) => interval) && (
        <p className="muted">The band is the 95 % interval over test groups drawn anew.</p>
      )}
      {points.length === 0 && (
        <p className="muted chart-empty">
          The curve starts with the first training that could be scored on the test set.
        </p>
      )}
      {points.length > 0 && (
        <div className="table-scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Training</th>
                <th scope="col">Items</th>
                <th scope="col">Minutes</th>
                <th scope="col">Dice</th>
                <th scope="col">Distance</th>
              </tr>
            </thead>
            <tbody>
              {curve
                .map((point, i) => (
                  <tr key={i}>
                    <td>{i + 1}</td>
                    <td>{point.items}</td>
                    <td>{point.minutes.toFixed(1)}</td>
                    <td>
                      {showScore(point.dice)}
                      {point.interval && (
                        <span className="muted">
                          {' '}
                          {showScore(point.interval[0])}–{showScore(point.interval[1])}
                        </span>
                      )}
                    </td>
                    <td>{point.hd95 === null ? '–' : point.hd95.toFixed(1)}</td>
                  </tr>
                ))
                .reverse()}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function ClassScores({ now, before }: { now: CurvePoint; before: CurvePoint | null }) {
  const { project } = useApp()
  const rows = Object.entries(now.per_class)
  if (rows.length === 0) return null
  return (
    <section className="card">
      <h2>Dice per class</h2>
      <ul className="class-scores">
        {rows.map(([name, score]) => {
          const found = project.classes.find(
            (each) => each.name === name || String(each.number) === name,
          )
          const previous = before?.per_class[name]
          const by = score != null && previous != null ? score - previous : null
          return (
            <li key={name}>
              <span className="swatch" style={{ background: found?.colour ?? 'var(--accent)' }} />
              <span>{found?.name ?? name}</span>
              <span className="score-bar">
                <span
                  style={{
                    width: `${(score ?? 0) * 100}%`,
                    background: found?.colour ?? 'var(--accent)',
                  }}
                />
              </span>
              <span className="number">{showScore(score)}</span>
              <span className="number muted">
                {by === null ? '' : `${by >= 0 ? '+' : '−'}${Math.abs(by).toFixed(3)}`}
              </span>
            </li>
          )
        })}
      </ul>
    </section>
  )
}

interface ChoiceProps<T extends string> {
  label: string
  value: T
  options: readonly (readonly [T, string])[]
  onChange(value: T): void
}

/** The server's advice ends with a command for the terminal; here there are buttons. */
export const withoutCommand = (next: string): string => next.split(/[:;] (?:\w+ )*fewmasks /)[0]

/** A few choices of which one holds, as buttons in a row. */
export function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <fieldset className="choice" aria-label={label}>
      {options.map(([option, text]) => (
        <button
          key={option}
          type="button"
          aria-pressed={option === value}
          onClick={() => onChange(option)}
        >
          {text}
        </button>
      ))}
    </fieldset>
  )
}
