// Where the pointer is, what is in sight, how long it took, and whether it is safe.

import { useEffect, useState } from 'react'
import { createPortal } from 'react-dom'
import { type EditorState, UNKNOWN } from '../editor/editor'
import { useApp } from './context'
import { showSeconds, showValue } from './format'
import { Icon } from './icons'
import type { SaveState } from './saver/saver'
import type { Slices } from './useSlices'
import type { Work } from './useWork'

interface StripProps {
  state: EditorState
  work: Work | null
  slices: Slices
}

/** The line below the image. */
export function Strip({ state, work, slices }: StripProps) {
  const { project } = useApp()
  const info = work?.opening.info ?? null
  const { cursor } = state
  return (
    <div className="strip">
      <span className="strip-wide">
        {cursor && info
          ? `${cursor.y}, ${cursor.x}  =  ${showValue(cursor.stored, info.scale)}`
          : info && `${info.height} × ${info.width}${info.bits === 16 ? ' · 16 bit' : ''}`}
      </span>
      <span>{cursor && !state.isPeeking && className(cursor.value, project.classes)}</span>
      <span className="strip-end">
        {info && (info.previous !== null || info.next !== null) && (
          <span className="slice-buttons">
            <SliceButton icon="arrowUp" text="above" onClick={() => slices.step(-1)} />
            slice {info.z + slices.offset}
            <SliceButton icon="arrowDown" text="below" onClick={() => slices.step(1)} />
          </span>
        )}
        <span>{Math.round(state.zoom * 100)} %</span>
        {work && <Clock seconds={work.clock.seconds} />}
      </span>
    </div>
  )
}

interface SliceButtonProps {
  icon: 'arrowUp' | 'arrowDown'
  text: string
  onClick(): void
}

function SliceButton({ icon, text, onClick }: SliceButtonProps) {
  return (
    <button
      type="button"
      className="icon-button"
      aria-label={`Look at the slice ${text}`}
      onClick={onClick}
    >
      <Icon name={icon} size={14} />
    </button>
  )
}

/** Whether the work is safe, in the bar at the top. */
export function SaveSlot({ save }: { save: SaveState }) {
  const slot = document.getElementById('bar-slot')
  const words: Record<SaveState['status'], string> = {
    saved: save.acknowledged > 0 ? 'Saved' : '',
    saving: 'Saving …',
    offline: 'Kept here',
    conflict: 'Not saved',
    taken: 'Kept here',
    'signed-out': 'Kept here',
    refused: 'Not saved',
  }
  if (!slot || words[save.status] === '') return null
  const isSafe = save.status === 'saved' || save.status === 'saving'
  return createPortal(
    <span className={isSafe ? 'save' : 'save save-off'}>
      <Icon name={isSafe ? 'cloud' : 'cloudOff'} size={16} />
      {words[save.status]}
    </span>,
    slot,
  )
}

function Clock({ seconds }: { seconds(): number }) {
  const [shown, setShown] = useState(seconds())
  useEffect(() => {
    const timer = setInterval(() => setShown(seconds()), 500)
    return () => clearInterval(timer)
  }, [seconds])
  return (
    <span className="number" title="Active time on this item">
      {showSeconds(shown)}
    </span>
  )
}

const className = (value: number, classes: { number: number; name: string }[]): string =>
  value === UNKNOWN ? 'unknown' : (classes.find(({ number }) => number === value)?.name ?? '')
