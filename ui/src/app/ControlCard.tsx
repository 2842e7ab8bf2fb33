import type { Control } from '../api'
import { sentence, showScore } from './format'

/** What the strategy's picks taught, against those drawn at random. */
export function ControlCard({ control }: { control: Control }) {
  const arms = [
    ['Strategy', control.strategy],
    ['Random', control.control],
  ] as const
  return (
    <section className="card">
      <h2>Does choosing pay?</h2>
      <p className="muted">Dice of the model on items it had not learnt from yet, by arm.</p>
      <ul className="class-scores arm-scores">
        {arms.map(([name, arm]) => (
          <li key={name}>
            <span>
              {name} <span className="muted">· {arm.items}</span>
            </span>
            <span className="score-bar">
              <span style={{ width: `${(arm.mean ?? 0) * 100}%`, background: 'var(--accent)' }} />
            </span>
            <span className="number">{showScore(arm.mean)}</span>
            <span className="number muted">
              {arm.low === null ? '' : `${showScore(arm.low)}–${showScore(arm.high)}`}
            </span>
          </li>
        ))}
      </ul>
      {control.said.map((said) => (
        <p key={said}>{sentence(said.replace(/: fewmasks .*/, ' (setting query.compare)'))}.</p>
      ))}
    </section>
  )
}
