import { useCallback, useEffect, useRef, useState } from 'react'
import type { Dispute } from '../api'
import { UNKNOWN } from '../api'
import type { Thumbnail } from '../editor/codec'
import type { Picture } from '../editor/png'
import { useApp } from './context'
import { plural, sentence, showMinutes, showScore } from './format'
import { goTo, linkTo } from './route'

const EDGE = 320
const OPACITY = 0.5
const DIFFERENT = [229, 72, 77]

/** What two people read differently, and the three ways for a reviewer to end it. */
export function DisputesPage() {
  const { client, report, notify } = useApp()
  const [found, setFound] = useState<Dispute[] | null>(null)
  const [problem, setProblem] = useState<string | null>(null)
  const load = useCallback(() => {
    client.disputes().then(setFound, (error) => {
      report(error)
      setProblem(sentence(error))
    })
  }, [client, report])
  useEffect(load, [load])

  const choose = async (item: string, which: 1 | 2, by: string) => {
    try {
      await client.verdict(item, which)
      notify({ text: `The label by ${by} holds` })
    } catch (error) {
      report(error)
    }
    load()
  }

  return (
    <main className="page">
      <header className="page-head">
        <div>
          <h1>Disputes</h1>
          <p className="muted">
            {found === null
              ? (problem ?? 'Loading …')
              : found.length === 0
                ? 'None: two people agree wherever both have labelled, or somebody has decided.'
                : `${plural(found.length, 'item')} that two people labelled differently. The first label trains until you decide.`}
          </p>
        </div>
        <a className="button" href={linkTo({ page: 'dashboard' })}>
          To the progress page
        </a>
      </header>
      {found?.map((dispute) => (
        <DisputeCard
          key={dispute.item}
          dispute={dispute}
          onChoose={(which) =>
            void choose(dispute.item, which, dispute.readings[which - 1]?.by ?? '')
          }
        />
      ))}
    </main>
  )
}

interface CardProps {
  dispute: Dispute
  onChoose(which: 1 | 2): void
}

interface Seen {
  image: Thumbnail
  masks: [Picture, Picture]
}

function DisputeCard({ dispute, onChoose }: CardProps) {
  const { client, codec, report } = useApp()
  const { item, readings, per_class } = dispute
  const [seen, setSeen] = useState<Seen | null>(null)

  useEffect(() => {
    const stop = new AbortController()
    const load = async () => {
      const [image, first, second] = await Promise.all([
        client.picture(item, 'image', stop.signal).then((png) => codec.thumbnail(png, EDGE)),
        client.reading(item, 1, stop.signal).then(codec.decode),
        client.reading(item, 2, stop.signal).then(codec.decode),
      ])
      if (!stop.signal.aborted) setSeen({ image, masks: [first, second] })
    }
    load().catch((error) => {
      if (!stop.signal.aborted) report(error)
    })
    return () => stop.abort()
  }, [client, codec, item, report])

  return (
    <section className="card dispute" aria-label={item}>
      <header className="card-head">
        <h2>{item}</h2>
        {Object.entries(per_class).map(([name, dice]) => (
          <span key={name} className="tag">
            {name} {showScore(dice)}
          </span>
        ))}
      </header>
      <div className="dispute-views">
        {([1, 2] as const).map((which) => {
          const { by, kind, seconds } = readings[which - 1]
          return (
            <figure key={which}>
              <View seen={seen} shown={which} />
              <figcaption>
                <span>
                  {which === 1 ? 'First' : 'Second'}: a {kind} by {by} ({showMinutes(seconds / 60)})
                </span>
                <button type="button" className="button" onClick={() => onChoose(which)}>
                  Take {by}’s
                </button>
              </figcaption>
            </figure>
          )
        })}
        <figure>
          <View seen={seen} shown="difference" />
          <figcaption>
            <span>Where they differ</span>
            <button
              type="button"
              className="button"
              onClick={() => goTo({ page: 'item', id: item })}
            >
              Draw a third
            </button>
          </figcaption>
        </figure>
      </div>
    </section>
  )
}

function View({ seen, shown }: { seen: Seen | null; shown: 1 | 2 | 'difference' }) {
  const { project } = useApp()
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    if (!seen || !canvas.current) return
    const { height, width } = seen.image
    const inks = new Map(
      project.classes
        .filter(({ number }) => number !== project.background)
        .map(({ number, colour }) => [number, rgb(colour)]),
    )
    const pixels = overlay(seen, (first, second) => {
      if (shown !== 'difference') return inks.get(shown === 1 ? first : second)
      return first !== second && first !== UNKNOWN && second !== UNKNOWN ? DIFFERENT : undefined
    })
    canvas.current.height = height
    canvas.current.width = width
    canvas.current.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0)
  }, [project, seen, shown])
  return <canvas ref={canvas} />
}

const rgb = (colour: string): number[] =>
  [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16))

/** The small picture, inked where `inkAt` has a colour for what the two say of a pixel. */
export function overlay(
  { image, masks: [first, second] }: Seen,
  inkAt: (first: number, second: number) => number[] | undefined,
): Uint8ClampedArray<ArrayBuffer> {
  const { height, width } = image
  const pixels = image.pixels.slice()
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * first.height) / height) * first.width
    for (let x = 0; x < width; x++) {
      const from = row + Math.floor((x * first.width) / width)
      const ink = inkAt(first.data[from], second.data[from])
      if (!ink) continue
      const to = 4 * (y * width + x)
      for (let c = 0; c < 3; c++) {
        pixels[to + c] = (1 - OPACITY) * pixels[to + c] + OPACITY * ink[c]
      }
    }
  }
  return pixels
}
