// A dialog over the page; knows nothing of what it holds.
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Shown {
  title: string;
  close: () => void;
  wide?: boolean;
  children: ComponentChildren;
}

export function Dialog({ title, close, wide, children }: Shown) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current!;
    if (!dialog.open) dialog.showModal();
  }, []);
  return (
    <dialog
      ref={ref}
      class={wide ? "wide" : ""}
      aria-label={title}
      onClose={close}
      onClick={(event) => event.target === ref.current && close()}
    >
      <div class="box">
        <header>
          <h2>{title}</h2>
          <button onClick={close} aria-label="Close" title="Close (Esc)">
            {"\u2715"}
          </button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
