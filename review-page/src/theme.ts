// Dark or light: as the system has it, until the reader says otherwise; kept only while the page is open.
import { effect, signal } from "@preact/signals";

const system = matchMedia("(prefers-color-scheme: light)");
export const theme = signal<"dark" | "light">(system.matches ? "light" : "dark");
let chosen = false;

export function toggleTheme(): void {
  chosen = true;
  theme.value = theme.value === "dark" ? "light" : "dark";
}

export function follow(): void {
  system.addEventListener("change", () => {
    if (!chosen) theme.value = system.matches ? "light" : "dark";
  });
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}
