// The parts of the labelling view around the image. They show the editor's state and change it.

import { type ReactNode, useId } from 'react'
import type { ClassInfo } from '../api'
import { type Editor, type EditorState, type Tool, UNKNOWN } from '../editor/editor'
import { showKey } from '../editor/shortcuts'
import type { Window } from '../editor/tone'
import { useApp } from './context'
import { Choice } from './Dashboard'
import { showNumber } from './format'
import { Icon, type IconName } from './icons'

interface Props {
  editor: Editor
  state: EditorState
}

const TOOLS: readonly { tool: Tool; icon: IconName; text: string; key: string }[] = [
  { tool: 'brush', icon: 'brush', text: 'Brush', key: 'b' },
  { tool: 'eraser', icon: 'eraser', text: 'Eraser', key: 'e' },
  { tool: 'polygon', icon: 'polygon', text: 'Polygon or lasso', key: 'p' },
  { tool: 'fill', icon: 'fill', text: 'Fill', key: 'g' },
]

export function ToolRail({ editor, state }: Props) {
  const isReadOnly = state.isLocked || state.isPeeking
  return (
    <div className="rail" role="toolbar" aria-label="Tools" aria-orientation="vertical">
      {TOOLS.map(({ tool, icon, text, key }) => (
        <RailButton
          key={tool}
          icon={icon}
          text={text}
          hint={key}
          isPressed={state.tool === tool}
          isDisabled={isReadOnly}
          onClick={() => editor.set({ tool })}
        />
      ))}
      <hr />
      <RailButton
        icon="undo"
        text="Undo"
        hint="Mod+z"
        isDisabled={isReadOnly || !state.canUndo}
        onClick={() => editor.act('undo')}
      />
      <RailButton
        icon="redo"
        text="Redo"
        hint="Mod+Shift+z"
        isDisabled={isReadOnly || !state.canRedo}
        onClick={() => editor.act('redo')}
      />
      <hr />
      <RailButton icon="zoomIn" text="Zoom in" hint="+" onClick={() => editor.act('zoomIn')} />
      <RailButton icon="zoomOut" text="Zoom out" hint="-" onClick={() => editor.act('zoomOut')} />
      <RailButton icon="fit" text="Fit the image" hint="f" onClick={() => editor.act('fit')} />
      <RailButton
        icon={state.maskShown ? 'eye' : 'eyeOff'}
        text={state.maskShown ? 'Hide the mask' : 'Show the mask'}
        hint="h"
        onClick={() => editor.act('hide')}
      />
    </div>
  )
}

interface RailButtonProps {
  icon: IconName
  text: string
  hint: string
  isPressed?: boolean
  isDisabled?: boolean
  onClick(): void
}

function RailButton({ icon, text, hint, isPressed, isDisabled, onClick }: RailButtonProps) {
  return (
    <button
      type="button"
      className="rail-button"
      aria-label={text}
      aria-pressed={isPressed}
      disabled={isDisabled}
      onClick={onClick}
    >
      <Icon name={icon} size={20} />
      <span className="rail-tip" aria-hidden="true">
        {text} <kbd>{showKey(hint, false).join(' ')}</kbd>
      </span>
    </button>
  )
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  const id = useId()
  return (
    <section className="panel-section" aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  )
}

interface ClassListProps extends Props {
  /** Pixels of each value; null until counted. */
  counts: Uint32Array | null
}

export function ClassList({ editor, state, counts }: ClassListProps) {
  const { project } = useApp()
  const total = editor.mask.data.length
  const unknown: ClassInfo = { number: UNKNOWN, name: 'unknown', colour: '', key: '0' }
  return (
    <Section title="Class">
      <div className="classes" role="radiogroup" aria-label="Class">
        {[...project.classes, unknown].map(({ number, name, colour, key }) => (
          // biome-ignore lint/a11y/useSemanticElements: a button that keys choose, not a form's field
          <button
            key={number}
            type="button"
            role="radio"
            aria-checked={state.value === number}
            className="class-button"
            onClick={() => editor.set({ value: number })}
          >
            <span
              className={number === UNKNOWN ? 'swatch swatch-unknown' : 'swatch'}
              style={colour ? { background: colour } : undefined}
            />
            <span className="class-name">
              {name}
              {number === project.background && state.kind === 'mask' && (
                <span className="muted"> · unpainted</span>
              )}
            </span>
            <span className="number muted">{counts ? share(counts[number], total) : ''}</span>
            {key || number === project.background ? <kbd>{key ?? 'N'}</kbd> : <span />}
          </button>
        ))}
      </div>
    </Section>
  )
}

function share(count: number, total: number): string {
  if (count === 0) return ''
  const percent = (100 * count) / total
  return percent < 0.1 ? '< 0.1 %' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`
}

export function BrushPanel({ editor, state }: Props) {
  const { project } = useApp()
  const size = state.sizes[state.kind]
  const largest = Math.min(600, Math.max(60, Math.min(editor.mask.height, editor.mask.width)))
  const blank = project.background
  return (
    <Section title="Drawing">
      <div className="row">
        <Choice
          label="Kind of label"
          value={state.kind}
          options={[
            ['mask', 'Mask'],
            ['scribble', 'Scribble'],
          ]}
          onChange={(kind) => editor.set({ kind })}
        />
      </div>
      <p className="hint">
        {state.kind === 'scribble'
          ? 'A few strokes on every class. The rest stays unknown and is not trained on.'
          : blank === null
            ? 'Name every pixel. Hatched pixels are unknown and are not trained on.'
            : 'Paint every object. What is unpainted is background; hatched is unknown.'}
      </p>
      <Slider
        label="Brush"
        value={size}
        low={1}
        high={Math.max(size, Math.round(largest / (state.kind === 'scribble' ? 12 : 3)))}
        show={`${size} px`}
        onChange={(value) => editor.set({ sizes: { ...state.sizes, [state.kind]: value } })}
      />
      {blank !== null && (
        <div className="row">
          <span className="row-label">Eraser to</span>
          <Choice
            label="Eraser leaves"
            value={state.erased === UNKNOWN ? 'unknown' : 'background'}
            options={[
              ['background', 'Background'],
              ['unknown', 'Unknown'],
            ]}
            onChange={(to) => editor.set({ erased: to === 'unknown' ? UNKNOWN : blank })}
          />
        </div>
      )}
      <label className="check">
        <input
          type="checkbox"
          checked={state.pressure}
          onChange={(event) => editor.set({ pressure: event.target.checked })}
        />
        Pen pressure sets the width
      </label>
    </Section>
  )
}

interface OverlayProps extends Props {
  hasPrediction: boolean
  hasUncertainty: boolean
}

export function OverlayPanel({ editor, state, hasPrediction, hasUncertainty }: OverlayProps) {
  return (
    <Section title="Layers">
      <Layer
        label="Mask"
        isShown={state.maskShown}
        opacity={state.maskOpacity}
        onShown={(maskShown) => editor.set({ maskShown })}
        onOpacity={(maskOpacity) => editor.set({ maskOpacity })}
      />
      <Layer
        label="Prediction"
        isMissing={!hasPrediction}
        isShown={state.predictionShown}
        opacity={state.predictionOpacity}
        onShown={(predictionShown) => editor.set({ predictionShown })}
        onOpacity={(predictionOpacity) => editor.set({ predictionOpacity })}
      />
      <Layer
        label="Uncertainty"
        isMissing={!hasUncertainty}
        isShown={state.uncertaintyShown}
        opacity={state.uncertaintyOpacity}
        onShown={(uncertaintyShown) => editor.set({ uncertaintyShown })}
        onOpacity={(uncertaintyOpacity) => editor.set({ uncertaintyOpacity })}
      />
    </Section>
  )
}

interface LayerProps {
  label: string
  isMissing?: boolean
  isShown: boolean
  opacity: number
  onShown(isShown: boolean): void
  onOpacity(opacity: number): void
}

function Layer({ label, isMissing = false, isShown, opacity, onShown, onOpacity }: LayerProps) {
  return (
    <div className="layer">
      <label className="check">
        <input
          type="checkbox"
          checked={isShown && !isMissing}
          disabled={isMissing}
          onChange={(event) => onShown(event.target.checked)}
        />
        {label}
      </label>
      {isMissing ? (
        <span className="muted">none for this item</span>
      ) : (
        <input
          type="range"
          min={0}
          max={100}
          value={Math.round(opacity * 100)}
          disabled={!isShown}
          aria-label={`Opacity of ${label.toLowerCase()}`}
          onChange={(event) => onOpacity(Number(event.target.value) / 100)}
        />
      )}
    </div>
  )
}

interface WindowProps extends Props {
  extent: Window
  scale: { slope: number; intercept: number }
}

export function WindowPanel({ editor, state, extent, scale }: WindowProps) {
  const { low, high } = state.window
  const full = extent.high - extent.low
  const width = high - low
  const level = (low + high) / 2
  const show = (value: number) => showNumber(value * scale.slope)
  const setWindow = (centre: number, across: number) =>
    editor.set({ window: { low: centre - across / 2, high: centre + across / 2 } })
  return (
    <Section title="Window">
      <Slider
        label="Level"
        value={level}
        low={extent.low}
        high={extent.high}
        step={full / 500}
        show={show(level + scale.intercept / (scale.slope || 1))}
        onChange={(next) => setWindow(next, width)}
      />
      <Slider
        label="Width"
        value={width}
        low={full / 500}
        high={full * 1.5}
        step={full / 500}
        show={show(width)}
        onChange={(next) => setWindow(level, next)}
      />
      <div className="row">
        <button type="button" className="button button-small" onClick={() => editor.resetWindow()}>
          As stored
        </button>
        <button type="button" className="button button-small" onClick={() => editor.autoWindow()}>
          This image
        </button>
        <label className="check check-end">
          <input
            type="checkbox"
            checked={state.smooth}
            onChange={(event) => editor.set({ smooth: event.target.checked })}
          />
          Smooth
        </label>
      </div>
    </Section>
  )
}

interface SliderProps {
  label: string
  value: number
  low: number
  high: number
  step?: number
  show: string
  onChange(value: number): void
}

function Slider({ label, value, low, high, step = 1, show, onChange }: SliderProps) {
  return (
    <label className="slider">
      <span>{label}</span>
      <input
        type="range"
        min={low}
        max={high}
        step={step}
        value={Math.min(high, Math.max(low, value))}
        aria-valuetext={show}
        onChange={(event) => onChange(Number(event.target.value))}
      />
      <span className="number">{show}</span>
    </label>
  )
}
