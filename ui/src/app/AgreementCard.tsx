import type { Agreement } from '../api'
import { useApp } from './context'
import { plural, showScore } from './format'
import { linkTo } from './route'

/** How far two people agree on what both of them labelled. */
export function AgreementCard({ agreement }: { agreement: Agreement }) {
  const { project, session } = useApp()
  const { items, waiting, disputes, per_class } = agreement
  return (
    <section className="card">
      <header className="card-head">
        <h2>Agreement of two people</h2>
        {waiting > 0 && <span className="tag">{waiting} waiting</span>}
      </header>
      <p className="muted">
        {items === 0
          ? 'No item was labelled by two people yet.'
          : `Dice of two labels over the pixels both know, ${plural(items, 'item')}. A model can hardly be expected to do better.`}
      </p>
      {items > 0 && (
        <ul className="class-scores">
          {Object.entries(per_class).map(([name, dice]) => {
            const colour = project.classes.find((each) => each.name === name)?.colour
            return (
              <li key={name}>
                <span className="swatch" style={{ background: colour ?? 'var(--accent)' }} />
                <span>{name}</span>
                <span className="score-bar">
                  <span style={{ width: `${(dice ?? 0) * 100}%`, background: colour }} />
                </span>
                <span className="number">{showScore(dice)}</span>
                <span />
              </li>
            )
          })}
        </ul>
      )}
      {disputes > 0 &&
        (session.role === 'annotator' ? (
          <p className="muted">
            {plural(disputes, 'dispute')}: a reviewer or the owner decides these.
          </p>
        ) : (
          <a className="button" href={linkTo({ page: 'disputes' })}>
            Settle {plural(disputes, 'dispute')}
          </a>
        ))}
    </section>
  )
}
