import { useId, useState } from 'react'

export interface Point {
  x: number
  y: number
  text: string
}

interface Props {
  points: readonly Point[]
  xTitle: string
  yTitle: string
  /** Scores lie between 0 and 1; distances start at 0. */
  isScore: boolean
}

const WIDTH = 720
const HEIGHT = 300
const EDGE = { top: 14, right: 18, bottom: 44, left: 52 }

/** At most `count` round numbers that span a range. */
export function ticks(low: number, high: number, count = 5): number[] {
  if (!(high > low)) return [low]
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((m) => m >= rough) ?? rough
  const found: number[] = []
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    found.push(Number((i * step).toPrecision(12)))
  }
  return found
}

/** The axis ends on round numbers just outside the values. */
export function range(values: readonly number[], isScore: boolean): [number, number] {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  const pad = Math.max((high - low) * 0.15, isScore ? 0.02 : 0.5)
  if (!isScore) return [0, high + pad]
  return [Math.max(0, low - pad), Math.min(1, high + pad)]
}

export function Chart({ points, xTitle, yTitle, isScore }: Props) {
  const title = useId()
  const [active, setActive] = useState<number | null>(null)
  const ys = points.map(({ y }) => y)
  const [yLow, yHigh] = range(ys, isScore)
  const xHigh = Math.max(...points.map(({ x }) => x)) * 1.04 || 1
  const across = WIDTH - EDGE.left - EDGE.right
  const down = HEIGHT - EDGE.top - EDGE.bottom
  const toX = (x: number) => EDGE.left + (x / xHigh) * across
  const toY = (y: number) => EDGE.top + (1 - (y - yLow) / (yHigh - yLow)) * down
  const line = points.map(({ x, y }) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`).join(' ')
  const shown = active === null ? null : points[active]

  return (
    <figure className="chart">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-labelledby={title}>
        <title id={title}>
          {`${yTitle} over ${xTitle}: ${points.map(({ text }) => text).join('; ')}`}
        </title>
        {ticks(yLow, yHigh).map((y) => (
          <g key={y}>
            <line
              className="chart-grid"
              x1={EDGE.left}
              x2={WIDTH - EDGE.right}
              y1={toY(y)}
              y2={toY(y)}
            />
            <text className="chart-number" x={EDGE.left - 8} y={toY(y) + 4} textAnchor="end">
              {y}
            </text>
          </g>
        ))}
        {ticks(0, xHigh, 7).map((x) => (
          <text
            key={x}
            className="chart-number"
            x={toX(x)}
            y={HEIGHT - EDGE.bottom + 18}
            textAnchor="middle"
          >
            {x}
          </text>
        ))}
        <line
          className="chart-axis"
          x1={EDGE.left}
          x2={WIDTH - EDGE.right}
          y1={HEIGHT - EDGE.bottom}
          y2={HEIGHT - EDGE.bottom}
        />
        <text className="chart-title" x={EDGE.left + across / 2} y={HEIGHT - 6} textAnchor="middle">
          {xTitle}
        </text>
        <text
          className="chart-title"
          transform={`translate(13 ${EDGE.top + down / 2}) rotate(-90)`}
          textAnchor="middle"
        >
          {yTitle}
        </text>
        <polyline className="chart-line" points={line} />
        {points.map(({ x, y, text }, i) => (
          <circle
            key={text}
            className={i === active ? 'chart-point is-active' : 'chart-point'}
            cx={toX(x)}
            cy={toY(y)}
            r={i === active ? 6 : 4}
            onPointerEnter={() => setActive(i)}
            onPointerLeave={() => setActive(null)}
          />
        ))}
      </svg>
      {shown && (
        <figcaption
          className="chart-tip"
          style={{
            left: `${(toX(shown.x) / WIDTH) * 100}%`,
            top: `${(toY(shown.y) / HEIGHT) * 100}%`,
          }}
        >
          {shown.text}
        </figcaption>
      )}
    </figure>
  )
}
