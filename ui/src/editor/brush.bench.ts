import { bench, describe } from 'vitest'
import { makePalette, maskPixels } from './colours'
import { blankMask, drawSegment } from './mask'

/** The part of a brush move that needs no canvas; benchmarks/annotators.py measures all of it in Chromium. */
describe('a brush move of 12 pixels on 2048 x 2048', () => {
  const mask = blankMask(2048, 2048, 255)
  const palette = makePalette({ colours: new Map([[1, '#ff0000']]), opacity: 0.5, clear: [255] })
  let step = 0
  for (const size of [4, 40, 120]) {
    bench(`brush of ${size}: stamp and colours`, () => {
      step = (step + 12) % 1800
      const from = { y: 1000 + (step % 7), x: 100 + step }
      const to = { y: from.y + 3, x: from.x + 12 }
      const dirty = drawSegment(mask, from, to, size, 1)
      maskPixels(mask, palette, dirty!, 0x80ffffff)
    })
  }
})
