// Phaser 3 or 4: loads an export by its pack, or one sheet as Aseprite's, and draws every frame by its origin.

import { pixels, shown } from "/pixels.mjs";

function script(url) {
  return new Promise((resolve, reject) => {
    document.body.append(Object.assign(document.createElement("script"), { src: url, onload: resolve, onerror: reject }));
  });
}

/** A scene whose files are loaded; `preload` asks for them. */
function scene(canvas, preload) {
  return new Promise((resolve) => {
    new Phaser.Game({
      type: Phaser.WEBGL, width: canvas[0], height: canvas[1], transparent: true, pixelArt: true, banner: false,
      audio: { noAudio: true },
      scene: { preload() { preload(this.load); }, create() { resolve(this); } },
    });
  });
}

export default async function ({ version, canvas, origin, scale, milliseconds, aseprite, atlas, nine = [] }) {
  await script(`/node_modules/phaser${version}/dist/phaser.min.js`);
  const loaded = await scene(canvas, (load) => {
    if (aseprite) load.aseprite(aseprite, `/export/${aseprite}.png`, `/export/${aseprite}.aseprite.json`);
    else if (atlas) load.atlas(atlas, `/export/${atlas}.png`, `/export/${atlas}.json`);
    else load.pack("pack", "/export/pack.json");
  });
  if (aseprite) loaded.anims.createFromAseprite(aseprite);
  const game = loaded.game;
  game.loop.stop();
  const draw = (sprite) => {
    game.step(performance.now(), 1);
    const drawn = pixels(game.renderer.gl);
    sprite.destroy();
    return drawn;
  };
  const sheets = {};
  for (const key of loaded.textures.getTextureKeys()) {
    const frames = {}, slices = {};
    for (const name of loaded.textures.get(key).getFrameNames()) {
      const sprite = loaded.add.sprite(...origin, key, name).setScale(scale);
      // Without a pivot of its own a frame has Phaser's origin, its middle: half a pixel of an odd one.
      if (!sprite.frame.customPivot) sprite.setOrigin(0, 0);
      frames[name] = { anchor: [sprite.originX, sprite.originY], pixels: draw(sprite) };
    }
    for (const { frame, width, height } of nine.filter((one) => one.frame in frames)) {
      slices[frame] = draw(loaded.add.nineslice(0, 0, key, frame, width, height).setOrigin(0, 0));
    }
    sheets[key] = { frames, slices, normals: loaded.textures.get(key).dataSource.length };
  }
  const animations = {};
  for (const key of Object.keys(loaded.anims.anims.entries)) {
    const sprite = loaded.add.sprite(0, 0, "__DEFAULT").play(key);
    const step = (ms) => sprite.anims.update(0, ms);
    animations[key] = shown(step, () => sprite.anims.isPlaying ? sprite.anims.getFrameName() : null, milliseconds);
    sprite.destroy();
  }
  return { sheets, animations, version: Phaser.VERSION, renderer: game.renderer.type };
}
