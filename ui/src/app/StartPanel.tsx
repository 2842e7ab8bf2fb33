// Ways to begin: each replaces the mask as one step that can be undone.

import { type Editor, type EditorState, UNKNOWN } from '../editor/editor'
import { useApp } from './context'
import { showTime } from './format'
import { Section } from './panels'
import { prefer } from './preferences'
import type { Work } from './useWork'
import { readMask } from './work'

export type StartSource =
  | 'nothing'
  | 'prediction'
  | 'label'
  | 'local'
  | 'interpolate'
  | 'bright'
  | 'dark'
  | 'random-walker'
  | 'snap'

/** Replace the mask by what `from` names, with the kind of label that this makes it. */
export function useStart(editor: Editor | null, work: Work | null) {
  const { client, codec, report } = useApp()
  return async (from: StartSource): Promise<void> => {
    if (!editor || !work) return
    const { info, other } = work.opening
    const id = info.item
    const use = async (png: Uint8Array, kind: EditorState['kind']) =>
      editor.replace(await readMask(png, info, codec), kind)
    try {
      if (from === 'nothing') editor.startFromNothing()
      else if (from === 'prediction') await use(await client.picture(id, 'prediction'), 'mask')
      else if (from === 'label') await use(await client.picture(id, 'label'), info.label!.kind)
      else if (from === 'local') await use(other!.png.slice(), other!.kind)
      else if (from === 'interpolate') await use(await client.tool(id, 'interpolate'), 'mask')
      else if (from === 'bright') await use(await client.tool(id, 'watershed'), 'mask')
      else if (from === 'dark') await use(await client.tool(id, 'watershed?dark=true'), 'mask')
      else {
        const drawn = await codec.encode(editor.mask.data.slice(), info.height, info.width)
        const { kind } = editor.state()
        if (from === 'snap') await use(await client.tool(id, 'snap', drawn), kind)
        else await use(await client.tool(id, 'random-walker', drawn), 'mask')
      }
      if (from === 'nothing' || from === 'prediction') prefer({ startFrom: from })
    } catch (error) {
      report(error)
    }
  }
}

interface StartPanelProps {
  editor: Editor
  state: EditorState
  work: Work
  counts: Uint32Array | null
  onStart(from: StartSource): void
}

export function StartPanel({ editor, state, work, counts, onStart }: StartPanelProps) {
  const { project } = useApp()
  const { info, other } = work.opening
  const isOff = state.isLocked || state.isPeeking
  const background = project.background
  const isOneObject = background !== null && project.classes.length === 2
  const choices: { from: StartSource; text: string; isShown: boolean; isOff?: boolean }[] = [
    { from: 'nothing', text: 'Nothing', isShown: true },
    { from: 'prediction', text: 'Prediction', isShown: info.prediction },
    { from: 'label', text: 'Label', isShown: info.label !== null },
    {
      from: 'local',
      text: `Draft of ${showTime(other?.at ?? 0)} kept here`,
      isShown: other !== null,
    },
    {
      from: 'interpolate',
      text: 'Slices around',
      isShown: info.previous !== null || info.next !== null,
    },
    { from: 'bright', text: 'Outlines of what is bright', isShown: isOneObject },
    { from: 'dark', text: 'Of what is dark', isShown: isOneObject },
    { from: 'random-walker', text: 'Grow the scribble', isShown: true, isOff: !isPartial(counts) },
    { from: 'snap', text: 'Snap to edges', isShown: true, isOff: !isDrawn(counts) },
  ]
  return (
    <Section title="Start from">
      <div className="row row-wrap">
        {choices
          .filter(({ isShown }) => isShown)
          .map((choice) => (
            <button
              key={choice.from}
              type="button"
              className="button button-small"
              disabled={isOff || choice.isOff}
              onClick={() => onStart(choice.from)}
            >
              {choice.text}
            </button>
          ))}
        {background !== null && state.kind === 'mask' && counts?.[UNKNOWN] ? (
          <button
            type="button"
            className="button button-small"
            disabled={isOff}
            onClick={() => editor.nameUnknown(background)}
          >
            Unknown to background
          </button>
        ) : null}
      </div>
    </Section>
  )
}

/** There is more than one value, so there are borders to move. */
const isDrawn = (counts: Uint32Array | null): boolean =>
  counts !== null && counts.filter((count) => count > 0).length > 1

/** Something is named and something is not: a scribble to grow from. */
const isPartial = (counts: Uint32Array | null): boolean =>
  counts !== null &&
  counts[UNKNOWN] > 0 &&
  counts.some((count, value) => count > 0 && value < UNKNOWN)
