import { type FormEvent, useEffect, useRef, useState } from 'react'

interface Props {
  isFlag: boolean
  onAnswer(reason: string): void
  onClose(): void
}

const REASONS = {
  skip: ['I am not sure', 'Not my field', 'Too long for now'],
  flag: ['Artefact or noise', 'Wrong image', 'Cut off or empty'],
}

export function SkipDialog({ isFlag, onAnswer, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null)
  const [reason, setReason] = useState('')
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    onAnswer(reason.trim())
  }
  return (
    <dialog ref={dialog} className="small-dialog" onClose={onClose} aria-labelledby="skip-title">
      <form onSubmit={submit} className="stack">
        <h2 id="skip-title">{isFlag ? 'Flag as a bad image' : 'Skip this item'}</h2>
        <p className="muted">
          {isFlag
            ? 'It is skipped, and listed for the reviewer.'
            : 'It is not asked again unless somebody takes the skip back.'}
        </p>
        <div className="chips">
          {REASONS[isFlag ? 'flag' : 'skip'].map((text) => (
            <button
              key={text}
              type="button"
              className="chip"
              aria-pressed={reason === text}
              onClick={() => setReason(text)}
            >
              {text}
            </button>
          ))}
        </div>
        <label className="field">
          Reason
          <input
            value={reason}
            maxLength={500}
            placeholder="optional"
            onChange={(event) => setReason(event.target.value)}
          />
        </label>
        <div className="dialog-actions">
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" className="button button-main">
            {isFlag ? 'Flag' : 'Skip'}
          </button>
        </div>
      </form>
    </dialog>
  )
}
