// What hovers over the image and is never part of it: the brush's outline, the polygon in hand.

import type { Point } from './mask'
import type { Size, View } from './view'

export interface Hovering {
  view: View
  ratio: number
  corners: Point[]
  colour: string
  cursor: Point | null
  /** In CSS pixels; 0 draws a cross. */
  radius: number
}

interface Sketch {
  resize(size: Size, ratio: number): void
  draw(hovering: Hovering): void
}

export function makeSketch(canvas: HTMLCanvasElement): Sketch {
  const context = canvas.getContext('2d')
  if (!context) throw new Error('this browser cannot draw: it has no 2D canvas')
  let isDirty = false

  /** A dark line below a bright one is seen on every ground. */
  const twice = (colour: string, width: number) => {
    context.lineWidth = width + 2
    context.strokeStyle = 'rgb(0 0 0 / 65%)'
    context.stroke()
    context.lineWidth = width
    context.strokeStyle = colour
    context.stroke()
  }

  const drawCursor = (at: Point, radius: number, colour: string) => {
    context.beginPath()
    if (radius >= 2.5) context.arc(at.x, at.y, radius, 0, 2 * Math.PI)
    if (radius < 8) {
      const [gap, arm] = [Math.max(3, radius + 2), Math.max(9, radius + 7)]
      for (const [dy, dx] of [
        [0, 1],
        [0, -1],
        [1, 0],
        [-1, 0],
      ]) {
        context.moveTo(at.x + dx * gap, at.y + dy * gap)
        context.lineTo(at.x + dx * arm, at.y + dy * arm)
      }
    }
    twice(colour, 1.5)
  }

  const drawPolygon = (corners: Point[], to: Point | null, colour: string) => {
    context.beginPath()
    for (const { y, x } of corners) context.lineTo(x, y)
    if (to) context.lineTo(to.x, to.y)
    twice(colour, 1.5)
    const isLasso = corners.length > 60
    for (const corner of isLasso ? corners.slice(0, 1) : corners) {
      context.beginPath()
      context.arc(corner.x, corner.y, 3, 0, 2 * Math.PI)
      context.fillStyle = colour
      twice('#ffffff', 1)
      context.fill()
    }
  }

  return {
    resize(size, ratio) {
      canvas.width = Math.max(1, Math.round(size.width * ratio))
      canvas.height = Math.max(1, Math.round(size.height * ratio))
    },
    draw({ corners, cursor, radius, colour, ratio }) {
      if (isDirty) {
        context.setTransform(1, 0, 0, 1, 0, 0)
        context.clearRect(0, 0, canvas.width, canvas.height)
      }
      isDirty = corners.length > 0 || cursor !== null
      if (!isDirty) return
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      if (corners.length > 0) drawPolygon(corners, cursor, colour)
      if (cursor) drawCursor(cursor, radius, colour)
    },
  }
}
