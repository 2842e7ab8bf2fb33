// The pool on a plane, and the test items that went worst and best.

import { useState } from 'react'
import { useApp } from './context'
import { Choice } from './Dashboard'
import { Figure, type FigureJson, useFigures } from './Figure'
import { showScore } from './format'

interface PoolMap {
  map: FigureJson
  by: string
  share: number
  trainings: number
}

export function MapCard({ trainings }: { trainings: number }) {
  const { project } = useApp()
  const found = useFigures<PoolMap>('map', trainings)
  if (!found) return null
  const by = found.by === 'thumbnail' ? 'small pictures of the items' : `the ${found.by} start`
  return (
    <section className="card">
      <header className="card-head">
        <h2>Map of the pool</h2>
        <AsOf trainings={found.trainings} of={trainings} />
      </header>
      <p className="muted">
        What lies near looks alike, by {by}; the plane shows {Math.round(100 * found.share)}&nbsp;%
        of the variance. Below, where the picks of each round lie.
      </p>
      <p className="key">
        {project.classes
          .filter(({ number }) => number !== project.background)
          .map(({ number, name, colour }) => (
            <span key={number}>
              <span className="swatch" style={{ background: colour }} /> {name}
            </span>
          ))}
        <span className="muted">by the largest class of a label; grey is not labelled</span>
      </p>
      <Figure figure={found.map} label="Map of the pool by group, by cluster and by class" />
    </section>
  )
}

interface TestItem {
  item: string
  dice: number
  truth: string
  prediction: string
}

interface Tests {
  worst: TestItem[]
  best: TestItem[]
  trainings: number
}

export function TestCard({ trainings }: { trainings: number }) {
  const found = useFigures<Tests>('tests', trainings)
  const [which, setWhich] = useState<'worst' | 'best'>('worst')
  if (!found || found.worst.length + found.best.length === 0) return null
  return (
    <section className="card">
      <header className="card-head">
        <h2>Test predictions</h2>
        <AsOf trainings={found.trainings} of={trainings} />
        <Choice<'worst' | 'best'>
          label="Which"
          value={which}
          options={[
            ['worst', 'Worst'],
            ['best', 'Best'],
          ]}
          onChange={setWhich}
        />
      </header>
      <p className="muted">
        Left what the reference says, right what the newest model says; Dice of the item. They are
        shown to be understood: nothing is trained on them.
      </p>
      <ul className="test-pictures">
        {found[which].map(({ item, dice, truth, prediction }) => (
          <li key={item}>
            <span className="pair">
              <img src={truth} alt={`Reference of ${item}`} />
              <img src={prediction} alt={`Prediction for ${item}`} />
            </span>
            <span className="pair-name" title={item}>
              {item}
            </span>
            <span className="number">{showScore(dice)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** That a drawing is older than the newest training. */
function AsOf({ trainings, of }: { trainings: number; of: number }) {
  return trainings === of ? null : <span className="tag">as of training {trainings}</span>
}
