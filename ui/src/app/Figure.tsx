// Charts that the server has as plotly.js draws them: the same figures as in the reports of studies.

import { useEffect, useRef, useState } from 'react'
import { useApp } from './context'
import { useIsDark } from './preferences'

/** A figure of plotly.js: traces, and how they are laid out. */
export interface FigureJson {
  data: object[]
  layout: Record<string, unknown>
}

/** What the newest training drew under a name; null while it comes, undefined where there is none. */
export function useFigures<T>(name: 'curve' | 'map' | 'tests', count: number) {
  const { client } = useApp()
  const [found, setFound] = useState<T | null | undefined>(null)
  // Again after a training, of which `count` tells.
  useEffect(() => {
    let isOver = false
    client.figures<T>(name).then(
      (figures) => {
        if (!isOver) setFound(figures)
      },
      () => {
        if (!isOver) setFound(undefined)
      },
    )
    return () => {
      isOver = true
    }
  }, [client, name, count])
  return found
}

interface Props {
  figure: FigureJson
  /** What the chart says, for those who do not see it. */
  label: string
  xTitle?: string
  yTitle?: string
}

/** The library is large, so it comes with the first chart. */
const library = () => import('plotly.js-basic-dist-min').then((module) => module.default)

export function Figure({ figure, label, xTitle, yTitle }: Props) {
  const host = useRef<HTMLDivElement>(null)
  const isDark = useIsDark()
  const [isMissing, setMissing] = useState(false)

  // Again in the dark: the colours are those of the page.
  useEffect(() => {
    const element = host.current
    if (!element) return
    let isOver = false
    library().then(
      (plotly) => {
        if (isOver) return
        const layout = themed(figure.layout, colourOf(element), { xTitle, yTitle })
        void plotly.react(element, figure.data, layout, { displayModeBar: false, responsive: true })
      },
      () => setMissing(true),
    )
    return () => {
      isOver = true
    }
  }, [figure, isDark, xTitle, yTitle])

  useEffect(() => {
    const element = host.current
    return () => {
      if (element) void library().then((plotly) => plotly.purge(element))
    }
  }, [])

  return (
    <figure className="figure" role="img" aria-label={label}>
      {isMissing && <p className="problem">The chart could not be loaded; load the page again.</p>}
      <div ref={host} />
    </figure>
  )
}

const colourOf = (element: HTMLElement) => getComputedStyle(element).color

/** The layout in the page's own colour of text; the grounds are clear, the grid is grey in either. */
export function themed(
  layout: FigureJson['layout'],
  colour: string,
  { xTitle, yTitle }: { xTitle?: string | undefined; yTitle?: string | undefined } = {},
): FigureJson['layout'] {
  const next: FigureJson['layout'] = {
    ...layout,
    font: { ...(layout.font as object), color: colour },
  }
  if (xTitle) next.xaxis = { ...(layout.xaxis as object), title: { text: xTitle } }
  if (yTitle) next.yaxis = { ...(layout.yaxis as object), title: { text: yTitle } }
  return next
}
