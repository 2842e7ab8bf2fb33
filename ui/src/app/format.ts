export function showMinutes(minutes: number): string {
  if (minutes < 1) return minutes > 0 ? '< 1 min' : '0 min'
  if (minutes < 60) return `${Math.round(minutes)} min`
  const rest = Math.round(minutes) % 60
  return `${Math.floor(Math.round(minutes) / 60)} h${rest > 0 ? ` ${rest} min` : ''}`
}

export function showSeconds(seconds: number): string {
  const whole = Math.floor(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

export const showScore = (score: number | null | undefined): string =>
  score === null || score === undefined ? '–' : score.toFixed(3)

export const plural = (count: number, word: string): string =>
  `${count} ${word}${count === 1 ? '' : 's'}`

export function showTime(moment: string | number): string {
  const date = new Date(moment)
  if (Number.isNaN(date.getTime())) return ''
  const isToday = date.toDateString() === new Date().toDateString()
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
  return isToday ? time : `${date.toLocaleDateString()} ${time}`
}

/** Four digits are enough to read; whole numbers stay whole. */
export const showNumber = (value: number): string =>
  Math.abs(value) >= 1000 ? String(Math.round(value)) : String(Number(value.toPrecision(4)))

/** A stored value in the image's own unit. */
export function showValue(stored: number[], scale: { slope: number; intercept: number }): string {
  return stored.map((value) => showNumber(value * scale.slope + scale.intercept)).join(' ')
}

/** No line ends between a number and its per cent sign. */
export const holdPercent = (text: string): string => text.replace(/(\d) %/g, '$1\u00a0%')

/** Every `Error` has a sentence; so have all of the server's refusals. */
export const sentence = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  return text.charAt(0).toUpperCase() + text.slice(1)
}
