// What lies over the page for a moment: a real dialog, so that the keyboard and a screen reader
// stay in it until it is closed.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { digitNames, judgeNamed, setAuthor } from "./actions.ts";
import { BINDINGS } from "./keys.ts";
import { change, state, usePage } from "./state.ts";

export function Panel({ title, children }: { title: string; children: ComponentChildren }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const close = () => change({ panel: "none", pending_state: null });
  const outside = (event: MouseEvent) => event.target === dialog.current && close();
  return (
    <dialog ref={dialog} class="panel" aria-label={title} onCancel={(event) => (event.preventDefault(), close())} onClick={outside}>
      <div class="panel-body">
        <div class="panel-head">
          <h2>{title}</h2>
          <button type="button" class="quiet" aria-label="Close" title="Close (Esc)" onClick={close}>✕</button>
        </div>
        {children}
      </div>
    </dialog>
  );
}

/** A field for a label, completed from the known ones. */
export function LabelField({ value, onValue, id, autofocus = false }: { value: string; onValue: (label: string) => void; id: string; autofocus?: boolean }) {
  const names = usePage((page) => page.about?.names);
  return (
    <>
      <input id={id} autofocus={autofocus} list={`${id}-names`} value={value} maxLength={200} autocomplete="off" spellcheck={false} onInput={(event) => onValue(event.currentTarget.value)} />
      <datalist id={`${id}-names`}>{(names ?? []).slice(0, 2000).map((name) => <option key={name} value={name} />)}</datalist>
    </>
  );
}

/** Asks which label a judgement is of, where the list asks about none or it is another. */
export function LabelPanel() {
  const [label, setLabel] = useState("");
  const verdict = usePage((page) => page.pending_state) ?? "present";
  const use = (name: string) => {
    if (name.trim()) judgeNamed(name.trim());
  };
  const asks = { present: "What is it?", absent: "What is it not?", unsure: "What may it be?" }[verdict];
  return (
    <Panel title={asks}>
      <form class="line" onSubmit={(event) => (event.preventDefault(), use(label))}>
        <label for="label-name" class="unseen">Label</label>
        <LabelField id="label-name" value={label} onValue={setLabel} autofocus />
        <button type="submit" class="main">Save</button>
      </form>
      <div class="choices">
        {digitNames().map((name, i) => (
          <button key={name} type="button" onClick={() => use(name)}><kbd>{i + 1}</kbd> {name}</button>
        ))}
      </div>
    </Panel>
  );
}

/** Every key, and who judges. */
export function KeysPanel() {
  const groups = [...new Set(BINDINGS.map((binding) => binding.group))];
  const author = usePage((page) => page.author);
  return (
    <Panel title="Keys">
      <div class="keys">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {BINDINGS.filter((binding) => binding.group === group && binding.shown).map((binding) => (
                <div key={binding.action + binding.views.join()}><dt><kbd>{binding.shown}</kbd></dt><dd>{binding.says}</dd></div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <form class="line" onSubmit={(event) => event.preventDefault()}>
        <label for="author">Judgements are saved as</label>
        <input id="author" value={author} maxLength={200} onChange={(event) => setAuthor(event.currentTarget.value)} disabled={state().about?.read_only} />
      </form>
    </Panel>
  );
}
