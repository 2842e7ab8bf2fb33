import { type FormEvent, type Ref, useEffect, useState } from 'react'
import type { Comment } from '../api'
import { useApp } from './context'
import { showTime } from './format'
import { Section } from './panels'

export function Comments({ id, field }: { id: string; field: Ref<HTMLTextAreaElement> }) {
  const { client, report } = useApp()
  const [comments, setComments] = useState<Comment[]>([])
  const [text, setText] = useState('')

  useEffect(() => {
    let isGone = false
    client.comments(id).then((found) => {
      if (!isGone) setComments(found)
    }, report)
    return () => {
      isGone = true
    }
  }, [client, id, report])

  const send = async (event?: FormEvent) => {
    event?.preventDefault()
    if (text.trim() === '') return
    try {
      const sent = await client.comment(id, text.trim())
      setComments((known) => [...known, sent])
      setText('')
    } catch (error) {
      report(error)
    }
  }

  return (
    <Section title="Comments">
      {comments.map(({ by, text: said, created }) => (
        <p key={`${created} ${by} ${said}`} className="comment">
          <span className="comment-by">
            {by} <span className="muted">{showTime(created)}</span>
          </span>
          {said}
        </p>
      ))}
      <form className="comment-form" onSubmit={send}>
        <textarea
          ref={field}
          rows={2}
          value={text}
          placeholder="Say something about this item"
          aria-label="Comment"
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
              event.stopPropagation()
              void send()
            }
            if (event.key === 'Escape') event.currentTarget.blur()
          }}
        />
        {text.trim() !== '' && (
          <button type="submit" className="button button-small">
            Add
          </button>
        )}
      </form>
    </Section>
  )
}
