import { useEffect, useRef, useState } from 'react'
import { useApp } from './context'

const EDGE = 112
const MOST_AT_ONCE = 2

/** Few at a time: a queue of large pictures must not slow the one that is being opened. */
const waiting: (() => void)[] = []
let running = 0

async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  if (running >= MOST_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  running++
  try {
    return await run()
  } finally {
    running--
    waiting.shift()?.()
  }
}

/** A small picture of an item, fetched when it comes into sight; 16-bit grey with its own window. */
export function Thumbnail({ id }: { id: string }) {
  const { client, codec } = useApp()
  const canvas = useRef<HTMLCanvasElement>(null)
  const [isMissing, setMissing] = useState(false)

  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const stop = new AbortController()
    const draw = async () => {
      const bytes = await client.picture(id, 'image', stop.signal)
      const { height, width, pixels } = await codec.thumbnail(bytes, EDGE)
      if (stop.signal.aborted) return
      element.height = height
      element.width = width
      element.getContext('2d')?.putImageData(new ImageData(pixels, width, height), 0, 0)
    }
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return
      observer.disconnect()
      inTurn(async () => {
        if (!stop.signal.aborted) await draw()
      }).catch(() => {
        if (!stop.signal.aborted) setMissing(true)
      })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      stop.abort()
    }
  }, [client, codec, id])

  return (
    <span className="thumbnail">
      {isMissing ? <span className="muted">no picture</span> : <canvas ref={canvas} />}
    </span>
  )
}
