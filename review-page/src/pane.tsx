// One pane with layers of pictures over each other, at a whole zoom around a common center; knows no asset.
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Picture, Rect } from "./pictures";
import { Line } from "./text";
import * as view from "./view";

export interface Layer {
  picture: Picture;
  name: string;
  opacity?: number;
  clip?: [from: number, to: number]; // percent of the width that is seen
  add?: boolean; // lights add up, for cross-fading
}

/** The exact pixels in a canvas of the picture's own size, enlarged without smoothing. */
export function Pixels({
  of,
  label,
  ...rest
}: {
  of: Picture;
  label?: string;
  class?: string;
  style?: Record<string, string | number>;
}) {
  const ref = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const canvas = ref.current!;
    canvas.width = of.width;
    canvas.height = of.height;
    canvas.getContext("2d")!.putImageData(new ImageData(of.rgba, of.width, of.height), 0, 0);
  }, [of]);
  return <canvas ref={ref} {...rest} {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })} />;
}

/** CSS pixels of one step of zoom: whole device pixels, on every screen. */
export function unit(): number {
  const ratio = window.devicePixelRatio || 1;
  return Number.isInteger(ratio) ? 1 : Math.max(1, Math.round(ratio)) / ratio;
}

interface Given {
  name: string;
  caption?: string;
  layers: Layer[];
  empty?: string;
  box?: Rect | null;
  swipe?: boolean;
}

export function Pane({ name, caption, layers, empty, box, swipe }: Given) {
  const ref = useRef<HTMLDivElement>(null);
  const { width, height } = view.size.value;
  const scale = view.scale.value * unit();
  const times = view.tiled.value && view.tileable.value ? 3 : 1;
  const middle = view.center.value ?? { x: width / 2, y: height / 2 };

  useLayoutEffect(() => {
    const pane = ref.current!;
    const measure = () => {
      const room =
        Math.min((pane.clientWidth - 24) / (width * times), (pane.clientHeight - 24) / (height * times)) / unit();
      if (!width || !Number.isFinite(room)) return;
      const whole = Math.min(view.MOST_ZOOM, Math.floor(room));
      view.fitting.value = whole >= 1 ? whole : room >= 0.5 ? 0.5 : room >= 0.25 ? 0.25 : 0.125;
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(pane);
    return () => observer.disconnect();
  }, [width, height, times]);

  const at = (event: PointerEvent | WheelEvent) => {
    const board = ref.current!.querySelector(".board")?.getBoundingClientRect();
    if (!board) return { x: 0, y: 0 };
    return { x: (event.clientX - board.left) / scale, y: (event.clientY - board.top) / scale };
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const spot = at(event);
    view.zoomBy(event.deltaY < 0 ? 1 : -1, { x: spot.x % width, y: spot.y % height });
  };
  useLayoutEffect(() => {
    const pane = ref.current!;
    pane.addEventListener("wheel", wheel, { passive: false });
    return () => pane.removeEventListener("wheel", wheel);
  });

  const down = (event: PointerEvent) => {
    if (event.button !== 0 && event.button !== 1) return;
    const pane = ref.current!;
    pane.setPointerCapture(event.pointerId);
    const slide = swipe && event.button === 0 && !event.shiftKey;
    let [x, y] = [event.clientX, event.clientY];
    const to = (moved: PointerEvent) => {
      if (slide) view.split.value = Math.max(0, Math.min(100, (at(moved).x / (width * times)) * 100));
      else view.pan((x - moved.clientX) / scale, (y - moved.clientY) / scale);
      [x, y] = [moved.clientX, moved.clientY];
    };
    if (slide) to(event);
    pane.addEventListener("pointermove", to);
    pane.addEventListener("lostpointercapture", () => pane.removeEventListener("pointermove", to), { once: true });
  };
  const point = (event: PointerEvent) => {
    const spot = at(event);
    const inside = spot.x >= 0 && spot.y >= 0 && spot.x < width * times && spot.y < height * times;
    view.pointed.value = inside ? { x: Math.floor(spot.x) % width, y: Math.floor(spot.y) % height } : null;
  };

  const px = (value: number) => `${value}px`;
  const [left, top] = times > 1 ? [width, height] : [0, 0]; // of the one in the middle
  const board = {
    width: px(width * scale * times),
    height: px(height * scale * times),
    transform: `translate(${px(-Math.round((middle.x + left) * scale))}, ${px(-Math.round((middle.y + top) * scale))})`,
    ...(view.background.value === "tint" ? { backgroundColor: view.tint.value } : {}),
  };
  return (
    <figure
      class={`pane${swipe ? " swiping" : ""}`}
      ref={ref}
      onPointerDown={down}
      onPointerMove={point}
      onPointerLeave={() => (view.pointed.value = null)}
    >
      <figcaption>
        <strong>{name}</strong>
        {caption ? <Line text={caption} /> : null}
      </figcaption>
      {layers.length > 0 && width > 0 ? (
        <div class="origin">
          <div class={`board ${view.background.value}`} style={board}>
            <div class="layers">
              {layers.map((layer) => (
                <Tiles key={layer.name} layer={layer} scale={scale} times={times} width={width} height={height} />
              ))}
            </div>
            {view.grid.value && view.scale.value >= view.GRID_FROM && (
              <div class="grid" style={{ backgroundSize: `${px(scale)} ${px(scale)}` }} />
            )}
            {times > 1 && (
              <div
                class="middle"
                style={{
                  left: px(width * scale),
                  top: px(height * scale),
                  width: px(width * scale),
                  height: px(height * scale),
                }}
              />
            )}
            {box && (
              <div
                class="region"
                style={{
                  left: px((box[0] + left) * scale),
                  top: px((box[1] + top) * scale),
                  width: px(box[2] * scale),
                  height: px(box[3] * scale),
                }}
              />
            )}
            {swipe && <div class="divider" style={{ left: `${view.split.value}%` }} />}
          </div>
        </div>
      ) : (
        <p class="empty">{empty ?? "No picture."}</p>
      )}
    </figure>
  );
}

function Tiles({
  layer,
  scale,
  times,
  width,
  height,
}: {
  layer: Layer;
  scale: number;
  times: number;
  width: number;
  height: number;
}) {
  const { picture, opacity = 1, clip, add } = layer;
  const style: Record<string, string | number> = { opacity };
  if (clip) style.clipPath = `inset(0 ${100 - clip[1]}% 0 ${clip[0]}%)`;
  if (add) style.mixBlendMode = "plus-lighter";
  return (
    <div class="layer" style={style} data-layer={layer.name}>
      {Array.from({ length: times * times }, (_, n) => (
        <Pixels
          key={n}
          of={picture}
          {...(n ? {} : { label: layer.name })}
          class={scale < 1 ? "smooth" : ""}
          style={{
            left: `${(n % times) * width * scale}px`,
            top: `${Math.floor(n / times) * height * scale}px`,
            width: `${picture.width * scale}px`,
            height: `${picture.height * scale}px`,
          }}
        />
      ))}
    </div>
  );
}
