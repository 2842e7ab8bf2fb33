import { useEffect, useRef } from 'react'
import { SHORTCUTS, type Shortcut, showKey } from '../editor/shortcuts'
import { Icon } from './icons'
import { prefer, usePreferences } from './preferences'

const GROUPS: readonly Shortcut['group'][] = ['Draw', 'See', 'Answer', 'Without a mouse', 'Page']
const HAND: readonly [string, string][] = [
  ['Left button, pen, finger', 'Draw'],
  ['Right button, drag', 'Window (across) and level (up, down)'],
  ['Space or middle button, drag', 'Move the image'],
  ['Wheel', 'Neighbouring slice; zoom where there is none'],
  ['Ctrl and wheel, pinch', 'Zoom'],
  ['Shift and wheel', 'Move sideways'],
  ['Two fingers', 'Move and zoom'],
]

interface Row {
  text: string
  keys: readonly string[]
  /** Further keys under the same modifiers: the arrows. */
  more: string[]
}

/** One row a shortcut; those that only go on (“…”) join the row before them. */
export function rowsOf(group: Shortcut['group']): Row[] {
  const rows: Row[] = []
  for (const { keys, text, group: other } of SHORTCUTS) {
    if (other !== group) continue
    if (text.startsWith('…')) rows.at(-1)!.more.push(keys[0].split('+').at(-1)!)
    else rows.push({ text, keys, more: [] })
  }
  return rows
}

function Keys({ keys, more }: Pick<Row, 'keys' | 'more'>) {
  const isMac = /Mac|iP(hone|ad)/.test(navigator.userAgent)
  return (
    <span className="keys">
      {keys.map((key, i) => (
        <span key={key}>
          {i > 0 && <span className="muted"> or </span>}
          {showKey(key, isMac).map((part) => (
            <kbd key={part}>{part}</kbd>
          ))}
        </span>
      ))}
      {more.map((key) => (
        <kbd key={key}>{showKey(key, isMac)[0]}</kbd>
      ))}
    </span>
  )
}

export function Help({ onClose }: { onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const { singleKeys } = usePreferences()
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    <dialog ref={dialog} className="help" onClose={onClose} aria-labelledby="help-title">
      <header>
        <h2 id="help-title">Keys and hands</h2>
        <label className="check">
          <input
            type="checkbox"
            checked={singleKeys}
            onChange={(event) => prefer({ singleKeys: event.target.checked })}
          />
          Single keys act
        </label>
        <button
          type="button"
          className="icon-button"
          aria-label="Close"
          onClick={() => dialog.current?.close()}
        >
          <Icon name="close" />
        </button>
      </header>
      <div className="help-groups">
        {GROUPS.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {group === 'Draw' && (
                <div>
                  <dt>Class of this number</dt>
                  <dd>
                    <kbd>1</kbd> – <kbd>9</kbd>
                  </dd>
                </div>
              )}
              {rowsOf(group).map(({ text, keys, more }) => (
                <div key={text}>
                  <dt>{text}</dt>
                  <dd>
                    <Keys keys={keys} more={more} />
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>Mouse, pen and touch</h3>
          <dl>
            {HAND.map(([how, what]) => (
              <div key={how}>
                <dt>{what}</dt>
                <dd className="muted">{how}</dd>
              </div>
            ))}
          </dl>
        </section>
      </div>
    </dialog>
  )
}
