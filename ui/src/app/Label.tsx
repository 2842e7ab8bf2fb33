// The labelling page: tools, image, panel, and the keys for all of it.

import { useEffect, useMemo, useRef, useState } from 'react'
import type { ItemInfo } from '../api'
import { actionOf, digitOf, nameOf } from '../editor/shortcuts'
import { extent } from '../editor/tone'
import { isForText, mayAct } from './App'
import { Banners } from './Banners'
import { Comments } from './Comments'
import { useApp } from './context'
import { holdPercent, showMinutes } from './format'
import { Icon } from './icons'
import { BrushPanel, ClassList, OverlayPanel, ToolRail, WindowPanel } from './panels'
import { linkTo } from './route'
import { SkipDialog } from './SkipDialog'
import { StartPanel, useStart } from './StartPanel'
import { SaveSlot, Strip } from './Status'
import { useAnswers } from './useAnswers'
import { useCounts, useEditor, useKeys } from './useEditor'
import { useSlices } from './useSlices'
import { useWork } from './useWork'

/** Keys that buttons and sliders need for themselves. */
const NEEDS_IMAGE = /^(Enter|Backspace|Home|Page(Up|Down)|(Shift\+|Mod\+)?Arrow\w+|x)$/

export function LabelPage({ id }: { id: string }) {
  const { project } = useApp()
  const host = useRef<HTMLDivElement>(null)
  const commentField = useRef<HTMLTextAreaElement>(null)
  const events = useRef({ onChange: () => {}, onSlice: (_: -1 | 1) => {} })
  const [dialog, setDialog] = useState<'skip' | 'flag' | null>(null)
  const [editor, state] = useEditor(host, events)
  const working = useWork(id, editor)
  const { work, save } = working
  const info = work?.opening.info ?? null
  const slices = useSlices(editor, info)
  const start = useStart(editor, work)
  const answers = useAnswers(id, editor, work)
  events.current = { onChange: working.changed, onSlice: (step) => void slices.step(step) }

  const hasSlices = info !== null && (info.previous !== null || info.next !== null)
  const isLocked = working.isStopped || answers.isBusy
  useEffect(() => editor?.setSlices(hasSlices), [editor, hasSlices])
  useEffect(() => editor?.set({ isLocked }), [editor, isLocked])
  useEffect(() => {
    if (work) host.current?.querySelector<HTMLElement>('.editor-overlay')?.focus()
  }, [work])
  const counts = useCounts(editor, state.changes, work !== null)
  const shades = useMemo(() => (work ? extent(work.opening.picture) : null), [work])

  useKeys((event) => {
    if (!editor || isForText(event) || !mayAct(event)) return
    const target = event.target as HTMLElement
    const isOnImage = target === document.body || host.current?.contains(target) === true
    const digit = digitOf(event)
    const action = actionOf(event)
    if (digit) {
      const found = project.classes.find(({ key }) => key === digit)
      if (found) editor.set({ value: found.number })
    } else if (!action || (!isOnImage && NEEDS_IMAGE.test(nameOf(event)))) return
    else if (action === 'accept') answers.accept()
    else if (action === 'skip' || action === 'flag') setDialog(isLocked ? null : action)
    else if (action === 'comment') commentField.current?.focus()
    else if (action === 'kind') editor.set({ kind: state.kind === 'mask' ? 'scribble' : 'mask' })
    else if (action === 'startNothing') void start('nothing')
    else if (action === 'startPrediction') {
      if (info?.prediction) void start('prediction')
    } else if (!editor.act(action)) return
    event.preventDefault()
  })

  if (working.problem) return <NotOpened id={id} problem={working.problem} />
  return (
    <main className="label-page">
      <h1 className="hidden">Label {id}</h1>
      {editor ? <ToolRail editor={editor} state={state} /> : <div className="rail" />}
      <div className="stage">
        <Banners working={working} question={answers.question} onNo={answers.dropQuestion} />
        <div ref={host} className={isLocked || state.isPeeking ? 'canvas is-locked' : 'canvas'}>
          {!work && (
            <p className="canvas-note" role="status">
              Loading …
            </p>
          )}
          {state.isPeeking && (
            <button type="button" className="peek" onClick={slices.back}>
              Slice {slices.offset > 0 ? `+${slices.offset}` : `−${-slices.offset}`} · only to look
              at <kbd>Esc</kbd>
            </button>
          )}
          {state.corners > 0 && (
            <span className="canvas-tip">
              <kbd>Enter</kbd> or double click closes · <kbd>⌫</kbd> takes a corner back ·{' '}
              <kbd>Esc</kbd> drops it
            </span>
          )}
        </div>
        <Strip state={state} work={work} slices={slices} />
      </div>
      <aside className="panel" aria-label="Tools and facts">
        <div className="panel-scroll">
          <Facts id={id} info={info} />
          {editor && info && work && shades && (
            <>
              <ClassList editor={editor} state={state} counts={counts} />
              <BrushPanel editor={editor} state={state} />
              <StartPanel
                editor={editor}
                state={state}
                work={work}
                counts={counts}
                onStart={(from) => void start(from)}
              />
              <OverlayPanel
                editor={editor}
                state={state}
                hasPrediction={info.prediction}
                hasUncertainty={info.uncertainty}
              />
              <WindowPanel editor={editor} state={state} extent={shades} scale={info.scale} />
              <Comments id={id} field={commentField} />
            </>
          )}
        </div>
        <footer className="answer">
          <button
            type="button"
            className="button button-main"
            disabled={isLocked || state.isPeeking}
            onClick={answers.accept}
          >
            <Icon name="check" size={16} /> {answers.isBusy ? 'Saving …' : 'Accept'}
            <kbd>Ctrl ⏎</kbd>
          </button>
          <button
            type="button"
            className="button"
            disabled={isLocked}
            onClick={() => setDialog('skip')}
          >
            <Icon name="skip" size={15} /> Skip
          </button>
          <button
            type="button"
            className="button"
            disabled={isLocked}
            title="Flag as a bad image"
            onClick={() => setDialog('flag')}
          >
            <Icon name="flag" size={15} /> Flag
          </button>
        </footer>
      </aside>
      {dialog && (
        <SkipDialog
          isFlag={dialog === 'flag'}
          onAnswer={(reason) => {
            setDialog(null)
            answers.skip(reason, dialog === 'flag')
          }}
          onClose={() => setDialog(null)}
        />
      )}
      {save && <SaveSlot save={save} />}
    </main>
  )
}

function NotOpened({ id, problem }: { id: string; problem: string }) {
  return (
    <main className="page">
      <div className="card empty">
        <h1>{id}</h1>
        <p className="problem">{problem}</p>
        <a className="button" href={linkTo({ page: 'queue' })}>
          To the queue
        </a>
      </div>
    </main>
  )
}

/** What the item is, why it was chosen, and what is known of it already. */
function Facts({ id, info }: { id: string; info: ItemInfo | null }) {
  return (
    <div className="panel-section panel-item">
      <h2 className="item-name">{id}</h2>
      {info && (
        <>
          <p className="item-facts">
            {info.group.join(' / ')}
            {info.audit && (
              <span className="tag" title="Labelled to score the model; nothing is suggested">
                audit
              </span>
            )}
          </p>
          {info.reading === 2 && (
            <p className="muted">
              A second reading: somebody else has labelled this item, and you see nothing of that,
              so that the two can be compared.
            </p>
          )}
          {info.reason && <p className="reason">{holdPercent(info.reason)}</p>}
          {info.label && (
            <p className="muted">
              Has a {info.label.kind} by {info.label.by} ({showMinutes(info.label.seconds / 60)});
              accepting replaces it.
            </p>
          )}
          {info.skipped && (
            <p className="muted">
              {info.skipped.flagged ? 'Flagged' : 'Skipped'} by {info.skipped.by}
              {info.skipped.reason && `: ${info.skipped.reason}`}.
            </p>
          )}
        </>
      )}
    </div>
  )
}
