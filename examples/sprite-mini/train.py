"""Train sprite-mini, a small text-to-sprite latent diffusion model (32x32 RGBA), on a CPU.

The data is the CC0 tile set of Dungeon Crawl Stone Soup; captions come from its file names plus a measured color word.
Training continues from an earlier model: first the autoencoder, then the UNet with its text encoder. The result is a
stock diffusers StableDiffusionPipeline in fp16. `--parts` allows the stages to run one by one; the UNet resumes.
"""

import argparse
import random
import re
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

SIZE, CAPTIONS_PER_SPRITE, LATENT_CHANNELS = 32, 8, 16
VAE_BATCH, VAE_RATE, KL_WEIGHT, ENCODER_SHARE = 16, 2e-3, 1e-3, 0.5
UNET_BATCH, UNET_RATE = 64, 1e-3
SCHEDULE = {
    "num_train_timesteps": 1000, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
    "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
}  # fmt: skip
# Rows: luma, orange-blue and green-magenta chroma, alpha. Chroma counts more than its share of an RGB error.
ERROR_SPACE = torch.tensor([[0.375, 0.75, 0.375, 0], [1, 0, -1, 0], [-0.5, 1, -0.5, 0], [0, 0, 0, 1.0]])
COLORS = {
    "red": (200, 30, 30), "orange": (230, 130, 30), "yellow": (235, 215, 60), "green": (50, 160, 50),
    "cyan": (60, 200, 200), "blue": (50, 80, 200), "purple": (140, 50, 180), "pink": (235, 130, 190),
    "brown": (130, 85, 45), "gray": (128, 128, 128), "white": (240, 240, 240), "black": (25, 25, 25),
}  # fmt: skip
OTHER_COLORS = "golden gold magenta ruby crimson turquoise tan silver emerald azure scarlet"
COLOR_WORDS = {*COLORS, *OTHER_COLORS.split()}
# Folder -> (plain noun, group); the longest matching prefix wins, and None drops a folder of fragments or tints.
FOLDERS = {
    "item/amulet": ("amulet", "trinket"), "item/armour": ("armor", "armor"), "item/armour/brands": None,
    "item/armour/headgear": ("helmet", "armor"), "item/armour/shields": ("shield", "shield"),
    "item/book": ("book", "book"), "item/food": ("food", "food"), "item/food/chunk_brands": None,
    "item/gold": ("pile of gold coins", "gold"), "item/misc": ("item", "trinket"),
    "item/misc/runes": ("rune stone", "trinket"), "item/potion": ("potion", "potion"), "item/ring": ("ring", "ring"),
    "item/rod": ("rod", "staff"), "item/scroll": ("scroll", "scroll"), "item/staff": ("staff", "staff"),
    "item/wand": ("wand", "staff"), "item/weapon": ("weapon", "weapon"), "item/weapon/brands": None,
    "UNUSED/weapons": ("weapon", "weapon"), "UNUSED/armour": ("armor", "armor"), "UNUSED/food": ("food", "food"),
    "UNUSED/monsters": ("monster", "monster"), "mon": ("monster", "monster"), "mon/abyss": None, "mon/panlord": None,
    "mon/tentacles": None, "mon/undead/simulacra": None, "mon/undead/spectrals": None, "mon/unique": None,
    "mon/statues": ("statue", "statue"), "mon/dragons": ("dragon", "dragon"), "mon/draco": ("dragon man", "dragon"),
    "mon/amorphous": ("slime", "slime"), "mon/eyes": ("floating eye", "monster"), "mon/vault": None,
    "mon/undead/skeletons": ("skeleton", "skeleton"), "mon/undead/zombies": ("zombie", "monster"),
    "mon/demons": ("demon", "monster"), "mon/animals": ("animal", "animal"), "mon/holy": ("angel", "monster"),
    "mon/fungi_plants": ("plant", "plant"), "mon/undead": ("undead", "monster"), "dngn/shops": None,
    "dngn": ("dungeon feature", "feature"), "dngn/altars": ("altar", "altar"), "dngn/doors": ("door", "door"),
    "dngn/floor": ("floor", "floor"), "dngn/gateways": ("portal", "gateway"), "dngn/trees": ("tree", "tree"),
    "dngn/statues": ("statue", "statue"), "dngn/traps": ("trap", "trap"), "dngn/vaults": ("statue", "statue"),
    "dngn/wall": ("wall", "wall"), "dngn/water": ("water", "water"),
}  # fmt: skip
SKIPPED = re.compile(
    r"/i-|overlay|draco-job|_gone|test_|toenail|halo|shadow_|shadow\.|sigil|pedestal_|unseen|label|insubstantial|domino"
    r"|missing_|eyeclosed|flame[2-9]|spectral_|trap_|needle-c|transparent|gate_.*_(left|middle|right|up|down)|wucad"
    r"|statue_bases|_base\.|jiyva(0[2-9]|1)|arbitrary"
)
# Share of training visits a group gets, whatever its number of sprites.
SHARES = {
    "character": 17, "monster": 12, "animal": 9, "dragon": 7, "slime": 4, "skeleton": 5, "goblinoid": 5, "weapon": 12,
    "staff": 4, "potion": 6, "shield": 3, "armor": 4, "book": 3, "scroll": 3, "ring": 2, "trinket": 2.5, "food": 3.5,
    "gold": 1.5, "wall": 5, "floor": 4, "water": 1, "door": 2.5, "altar": 2, "statue": 2.5, "feature": 1.5,
    "gateway": 1.5, "tree": 2, "plant": 1.5, "trap": 0.5,
}  # fmt: skip
RECOLORED = {"potion", "dragon", "slime", "shield", "book", "ring", "trinket", "armor"}
# Words of a file name that a user would type alone, and special words with their general kind.
PLAIN_NOUNS = """
sword dagger axe mace flail club spear scythe whip bow crossbow sling hammer halberd staff trident boots gloves cloak
robe hat helmet cap shield dragon hydra skeleton goblin orc ogre troll kobold gnoll giant elf dwarf naga merfolk centaur
snake spider bat wolf bear frog turtle scorpion bee wasp butterfly dog elephant crab ghost lich vampire mummy golem
elemental demon angel mushroom treant fountain tree altar statue door gate eye worm lizard yak sheep hog beetle ant moth
knight mage wizard priest warrior archer apple banana bread cheese pizza meat pear orange lemon strawberry grape box
crystal orb lamp lantern skull lava portal stairs book ring amulet scroll potion wand rod raven phoenix jellyfish gnome
imp bush
"""
KINDS = {
    "snake": "adder anaconda python mamba viper serpent moccasin", "spider": "tarantella redback",
    "dog": "hound jackal", "sword": "greatsword katana claymore cutlass scimitar falchion rapier",
    "mace": "morningstar eveningstar", "axe": "tomahawk bardiche", "bow": "longbow shortbow", "crossbow": "arbalest",
    "staff": "quarterstaff", "armor": "plate mail hide scales", "shield": "buckler", "helmet": "helm",
    "slime": "amoeba jelly ooze",
    "dragon": "drake wyvern", "demon": "devil fiend", "goblin": "hobgoblin", "zombie": "ghoul", "mushroom": "deathcap",
}  # fmt: skip
NOUNS = {word: word for word in PLAIN_NOUNS.split()} | {w: kind for kind, words in KINDS.items() for w in words.split()}
DROPPED_WORDS = "new old alt left right misc gem dngn full art spwpn urand zot ego base slant two three"
GOBLINOIDS = {"goblin", "orc", "ogre", "troll", "kobold", "gnoll"}
# Paper-doll layers: words to rename, and layers named after persons to leave out.
LAYER_WORDS = {
    "bplate": "breastplate", "breast": "breastplate", "dragonarm": "dragon armor", "dragonsc": "scale armor",
    "lshield": "large shield", "fhelm": "helmet", "helm": "helmet", "plate": "plate armor", "mummy": "wrapped",
    "leather": "leather armor", "mesh": "mail", "chain": "chain mail", "metal": "metal armor", "wizard": "wizard hat",
    "cone": "pointed hat", "viking": "viking helmet", "feather": "feathered hat", "horned": "horned helmet",
    "band": "headband", "monk": "monk robe", "karate": "karate robe", "susp": "vest", "slit": "dress",
}  # fmt: skip
LAYER_FOLDERS = ("base", "legs", "body", "boots", "hair", "head", "hand1", "hand2", "cloak")
PERSONS = re.compile(
    "aragorn|arwen|boromir|frodo|gandalf|gil|gimli|isildur|jessica|legolas|maxwell|merry|pipin|pj|sam|saruman|zhor"
    "|kryias|chunli|neck|vanhel|bikini|belt|louise|donald|dyrovepreva"
)


def clean_name(path):
    """Turn a file name into words: no digits, variants or directions, American spelling."""
    stem = re.sub("(dark|light)(?=[a-z])", r"\1 ", path.stem.lower())
    words = [w for w in re.sub(r"[_\-.:]|\d+", " ", stem).split() if w not in DROPPED_WORDS.split() and len(w) > 1]
    return " ".join(words).replace("armour", "armor").replace("grey", "gray").replace("artefact", "artifact")


def split_colors(name):
    """Return the color words of a name (with their dark or light) and its other words."""
    words = name.split()
    shades = {i for i, w in enumerate(words[:-1]) if w in {"dark", "light"} and words[i + 1] in COLOR_WORDS}
    picked = [i for i, w in enumerate(words) if w in COLOR_WORDS or i in shades]
    return [words[i] for i in picked], [w for i, w in enumerate(words) if i not in picked]


def with_article(text):
    """Put the indefinite article before a phrase."""
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


def binarize(pixels):
    """Make alpha 0 or 255 and clear hidden colors; None for a fragment of a few pixels."""
    pixels[..., 3] = np.where(pixels[..., 3] >= 128, 255, 0)
    pixels[pixels[..., 3] == 0] = 0
    return pixels if (pixels[..., 3] > 0).sum() >= 60 else None


def measure_color(pixels):
    """Name the dominant color; saturated pixels count most and black outlines little."""
    rgb = pixels[pixels[..., 3] > 0][:, :3].astype(float)
    nearest = ((rgb[:, None] - np.array(list(COLORS.values()))[None]) ** 2).sum(-1).argmin(1)
    weight = 0.3 + (rgb.max(1) - rgb.min(1)) / 255
    weight[nearest == list(COLORS).index("black")] *= 0.2
    return list(COLORS)[np.bincount(nearest, weights=weight, minlength=len(COLORS)).argmax()]


def rotate_hue(pixels, turn):
    """Rotate the hue of a sprite by a fraction of a full turn."""
    hsv = np.array(Image.fromarray(pixels[..., :3]).convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(int) + int(turn * 256)) % 256
    rgb = np.array(Image.fromarray(hsv, "HSV").convert("RGB"))
    return binarize(np.concatenate([rgb, pixels[..., 3:]], -1))


def tile_captions(color, name, noun, kinds):
    """List captions of a tile, from tag style to the plain words a user would type."""
    own, rest = split_colors(name)
    name, color = " ".join(rest), " ".join(own[:2]) or color
    full = name if set(name.split()) & {noun, *kinds} else f"{name} {kinds[-1]}".strip()
    plain = [f"{color} {kind}" for kind in kinds] + [f"{color} {full}"]
    tags = f"{color} {noun}, {name}".rstrip(", ")
    return [tags, *plain, with_article(plain[0]), with_article(plain[-1]), full, with_article(full), kinds[0]]


def read_tiles(root):
    """Read the usable tiles as (pixels, captions, group, key); tiles with the same key share their visits."""
    tiles = []
    for path in sorted(root.rglob("*.png")):
        relative = path.relative_to(root)
        entry = next((FOLDERS[p.as_posix()] for p in relative.parents if p.as_posix() in FOLDERS), None)
        image = Image.open(path).convert("RGBA")
        if entry is None or SKIPPED.search(relative.as_posix()) or image.size != (SIZE, SIZE):
            continue
        (noun, group), pixels = entry, binarize(np.array(image))
        if pixels is None or (group in {"wall", "floor", "water"} and pixels[..., 3].min() == 0):
            continue
        name, kinds = "" if group == "gold" else clean_name(path), [noun]
        known = [w for w in name.split() if w in NOUNS and (group != "armor" or w not in {"dragon", "naga", "centaur"})]
        if known and group not in {"wall", "floor", "altar", "statue", "gateway", "trap", "skeleton"}:
            word = next((w for w in known if NOUNS[w] in GOBLINOIDS), known[-1])
            kinds = list(dict.fromkeys([word, NOUNS[word]]))
        if group in {"monster", "animal"}:
            group = kinds[-1] if kinds[-1] in {"dragon", "slime"} else group
            group = "goblinoid" if kinds[-1] in GOBLINOIDS else group
        if group in {"wall", "floor"}:
            name = name.replace(f" {noun}", "")
        color = measure_color(pixels)
        tiles.append((pixels, tile_captions(color, name, noun, kinds), group, name))
        for turn in (0.14, 0.3, 0.45, 0.6, 0.75, 0.88) if group in RECOLORED else ():
            recolored = rotate_hue(pixels, turn)
            if (new_color := measure_color(recolored)) != color:
                captions = tile_captions(new_color, " ".join(split_colors(name)[1]), noun, kinds)
                tiles.append((recolored, captions, group, f"recolored {name}"))
    return tiles


def read_layers(root, folder):
    """Read the paper-doll layers of a folder as (image, name), color words first and the noun last."""
    layers = []
    for path in sorted((root / "player" / folder).glob("*.png")):
        name, image = clean_name(path), Image.open(path).convert("RGBA")
        if name and image.size == (SIZE, SIZE) and not PERSONS.match(name):
            colors, rest = split_colors(re.sub("[a-z]+", lambda match: LAYER_WORDS.get(match[0], match[0]), name))
            rest = list(dict.fromkeys(rest))
            if rest and rest[0] in {"staff", "axe", "sword", "rod", "robe", "hood", "hat", "cap", "shirt"}:
                rest = rest[1:] + rest[:1]
            layers.append((image, " ".join(colors + rest)))
    return layers


def compose_characters(root, count, rng):
    """Dress characters from paper-doll layers, as (pixels, captions, group, key)."""
    layers = {f: read_layers(root, f) for f in LAYER_FOLDERS}

    def draw(folder, pattern="", chance=1.0):
        return rng.choice([x for x in layers[folder] if re.search(pattern, x[1])]) if rng.random() < chance else (0, "")

    characters = []
    metal, bearers = "plate|metal|chain|dragon|mail|scale", r"\b(human|elf|dwarf|halfling)\b"
    races = bearers + "|vampire|ghoul|kobold|draconian|demonspawn|gnome|minotaur|tengu|mummy"
    roles = [("robe", "wizard", "staff"), (metal, "helmet|crown|horn", "sword|axe|mace|spear"), ("", "", "")]
    for _ in range(count):
        clothes, hats, arms = rng.choice(roles)
        base, body = draw("base", bearers if rng.random() < 0.75 else races), draw("body", clothes)
        hat, weapon, shield = draw("head", hats, 0.75), draw("hand1", arms, 0.85), draw("hand2", "", 0.3)
        cloak, boots, legs = draw("cloak", "", 0.3), draw("boots", "", 0.6), draw("legs", "", "robe" not in body[1])
        hair = (0, "") if hat[0] else draw("hair")
        image = Image.new("RGBA", (SIZE, SIZE))
        for layer in (cloak, base, boots, legs, body, hair, hat, weapon, shield):
            if layer[0]:
                image.alpha_composite(layer[0])
        pixels, wear, race = binarize(np.array(image)), body[1], base[1].split(" wing")[0]
        title = next(title for title, test in [
            ("wizard", "robe" in wear and re.search("wizard|pointed|staff|rod", hat[1] + weapon[1])),
            ("knight", re.search(metal, wear) and re.search("helmet|crown|horn", hat[1])),
            ("archer", re.search("bow|sling", weapon[1])), ("priest", "robe" in wear), ("warrior", True),
        ] if test)  # fmt: skip
        kind = next((NOUNS[w] for w in reversed(weapon[1].split()) if w in NOUNS), "weapon")
        garment = next((w for w in ("robe", "dress", "shirt", "coat") if w in wear), "armor")
        outfit = " ".join([*(split_colors(wear)[0][:1] or [measure_color(pixels)]), garment])
        held, held_kind = ("", "") if not weapon[1] else (f" holding {with_article(x)}" for x in (weapon[1], kind))
        extra = "".join(f", {x}" for x in (hat[1], cloak[1] and f"{cloak[1]} cloak", shield[1]) if x)
        captions = [
            f"{measure_color(pixels)} character, {race}, wearing {wear}{extra}{held}",
            f"{title} in {outfit}{held_kind}",
            f"{title} in {with_article(wear)}{held}",
            f"{with_article(race)} {title} in {outfit}{held_kind}",
            f"{title} wearing {wear}{held}{extra}",
            f"{outfit} {title}",
            f"{race} {title}{held_kind}",
            with_article(title),
        ]
        characters.append((pixels, captions, "character", str(len(characters))))
    return characters


def tokenize(tokenizer, texts):
    """Tokenize to the fixed length of the text encoder."""
    length = tokenizer.model_max_length
    return tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids


def build_dataset(root, tokenizer):
    """Return pixels (N, 4, 32, 32) in -1..1, token ids (N, captions, length) and visit weights (N,)."""
    sprites = read_tiles(root) + compose_characters(root, 3500, random.Random(0))
    keys = [sprite[2:] for sprite in sprites]
    masses = {key: keys.count(key) ** -0.5 for key in set(keys)}
    totals = {group: sum(masses[key] for key in keys if key[0] == group) for group in SHARES}
    weights = torch.tensor([masses[key] * SHARES[key[0]] / totals[key[0]] for key in keys])
    texts = []
    for sprite in sprites:
        for k, text in enumerate((sprite[1] * 8)[:CAPTIONS_PER_SPRITE]):
            text = " ".join(text.split())
            texts.append(text.replace("gray", "grey").replace("armor", "armour") if k % 3 == 2 else text)
    pixels = torch.from_numpy(np.stack([sprite[0] for sprite in sprites])).permute(0, 3, 1, 2).float() / 127.5 - 1
    pixels[:, :3] *= pixels[:, 3:] > 0
    return pixels, tokenize(tokenizer, texts).view(len(sprites), CAPTIONS_PER_SPRITE, -1), weights


def shape_matched(model, other):
    """Copy every tensor of `other` whose name and shape fit into `model`."""
    own, given = model.state_dict(), other.state_dict()
    model.load_state_dict({k: given[k] if k in given and given[k].shape == v.shape else v for k, v in own.items()})
    return model


def save_atomically(model, folder):
    """Save beside the target, then swap, so that a reader never meets a half-written folder."""
    fresh, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    model.save_pretrained(fresh)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def reconstruction_loss(output, target):
    """L1 plus L2 in luma, chroma and alpha, with gradient and 4x4 mean terms; hidden colors count little."""
    error = torch.einsum("ij,bjhw->bihw", ERROR_SPACE, output - target)
    visible = 0.1 + 0.9 * (target[:, 3:] > 0)
    error = torch.cat([error[:, :3] * visible, error[:, 3:]], 1)
    edges = (error[..., 1:] - error[..., :-1]).abs().mean() + (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return (
        error.abs().mean() + 0.5 * error.square().mean() + 0.5 * edges + functional.avg_pool2d(error, 4).square().mean()
    )


@torch.no_grad()
def color_psnr(vae, pixels):
    """Peak signal to noise ratio of the reconstructed colors inside the sprites."""
    output = vae.decode(vae.encode(pixels).latent_dist.mean).sample.clamp(-1, 1)
    visible = (pixels[:, 3:] > 0).expand(-1, 3, -1, -1)
    return -10 * torch.log10((output - pixels)[:, :3][visible].square().mean() / 4).item()


def train_autoencoder(args, pixels, weights):
    """Train the autoencoder: both halves for the first part of the time, then the decoder alone."""
    old = AutoencoderKL.from_pretrained(args.init / "vae", torch_dtype=torch.float32)
    config = dict(old.config) | {"latent_channels": LATENT_CHANNELS, "scaling_factor": 1.0}
    vae = shape_matched(AutoencoderKL.from_config(config), old)
    optimizer = torch.optim.AdamW(vae.parameters(), 1e-3, betas=(0.9, 0.99), weight_decay=1e-4)
    budget, start, saved, step, frozen = 60 * args.vae_minutes, time.time(), time.time(), 0, False
    while (elapsed := time.time() - start) < budget:
        if not frozen and elapsed > ENCODER_SHARE * budget:
            frozen = True
            vae.encoder.requires_grad_(False)
            vae.quant_conv.requires_grad_(False)
            vae.register_to_config(scaling_factor=float(1 / encode_all(vae, pixels).std()))
            save_atomically(vae, args.work / "vae")
        for group in optimizer.param_groups:
            group["lr"] = VAE_RATE * min(1, (step + 1) / 50) * (0.5 + 0.5 * np.cos(np.pi * elapsed / budget)) + 2e-5
        batch = pixels[torch.multinomial(weights, VAE_BATCH)]
        with torch.set_grad_enabled(not frozen):
            posterior = vae.encode(batch).latent_dist
            latents = posterior.sample()
        loss = reconstruction_loss(vae.decode(latents).sample, batch)
        if not frozen:
            loss = loss + KL_WEIGHT * posterior.kl().mean() / latents[0].numel()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0:
            psnr, kl = color_psnr(vae, pixels[::25]), posterior.kl().mean() / latents[0].numel()
            print(f"vae step {step} {elapsed:.0f} s loss {loss.item():.4f} psnr {psnr:.2f} kl {kl:.2f}", flush=True)
        if frozen and time.time() - saved > 300:
            saved = time.time()
            save_atomically(vae, args.work / "vae")
        step += 1
    save_atomically(vae, args.work / "vae")


@torch.no_grad()
def encode_all(vae, pixels):
    """Encode sprites to posterior means."""
    return torch.cat([vae.encode(part).latent_dist.mean for part in pixels.split(256)])


def load_denoiser(args, channels):
    """Load UNet and text encoder; the UNet's outer convolutions start afresh where the latent width has changed."""
    old = UNet2DConditionModel.from_pretrained(args.init / "unet", torch_dtype=torch.float32)
    config = dict(old.config) | {"in_channels": channels, "out_channels": channels}
    unet = shape_matched(UNet2DConditionModel.from_config(config), old)
    text_encoder = CLIPTextModel.from_pretrained(args.init / "text_encoder", torch_dtype=torch.float32)
    unet.set_attn_processor(AttnProcessor())  # plain products: the fused attention is slow backwards on a CPU
    return unet.to(memory_format=torch.channels_last), text_encoder


def train_unet(args, pixels, token_ids, weights, tokenizer):
    """Train UNet and text encoder on the latents; every draw depends on the seed and the step only."""
    vae = AutoencoderKL.from_pretrained(args.work / "vae", torch_dtype=torch.float32)
    unet, text_encoder = load_denoiser(args, vae.config.latent_channels)
    latents = encode_all(vae, pixels) * vae.config.scaling_factor
    parameters = [*unet.parameters(), *text_encoder.parameters()]
    averages = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, UNET_RATE, betas=(0.9, 0.99), weight_decay=1e-2)
    scheduler, empty = DDPMScheduler(**SCHEDULE), tokenize(tokenizer, [""])[0]
    alphas, checkpoint, step, spent, smoothed = scheduler.alphas_cumprod, args.work / "unet.pt", 0, 0.0, None
    if checkpoint.exists():
        state = torch.load(checkpoint)
        step, spent, smoothed = state["step"], state["spent"], state["loss"]
        optimizer.load_state_dict(state["optimizer"])
        for targets, values in [(parameters, state["parameters"]), (averages, state["averages"])]:
            for target, value in zip(targets, values, strict=True):
                target.data.copy_(value)
    budget, start, saved, generator = 60 * args.unet_minutes, time.time() - spent, time.time(), torch.Generator()
    while (elapsed := time.time() - start) < budget:
        generator.manual_seed(step)
        decay = min(1, 1.02 - elapsed / budget) / 0.4
        for group in optimizer.param_groups:
            group["lr"] = UNET_RATE * min(1, (step + 1) / 100, decay)
        picks = torch.multinomial(weights, UNET_BATCH, replacement=True, generator=generator)
        variants = torch.randint(0, CAPTIONS_PER_SPRITE, (UNET_BATCH,), generator=generator)
        tokens = token_ids[picks, variants].clone()
        tokens[torch.rand(UNET_BATCH, generator=generator) < 0.1] = empty
        clean = latents[picks]
        times = ((torch.arange(UNET_BATCH) + torch.rand(UNET_BATCH, generator=generator)) * (1000 / UNET_BATCH)).long()
        noise = torch.randn(clean.shape, generator=generator)
        noisy = scheduler.add_noise(clean, noise, times).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            output = unet(noisy, times, text_encoder(tokens).last_hidden_state).sample
        error = (output.float() - scheduler.get_velocity(clean, noise, times)).square().mean((1, 2, 3))
        signal = alphas[times] / (1 - alphas[times]).clamp(min=1e-8)
        loss = ((signal.clamp(max=5) / (signal + 1) + 0.05) * error).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - min(0.998, step / (step + 10)))
        smoothed = loss.item() if smoothed is None else 0.99 * smoothed + 0.01 * loss.item()
        if step % 50 == 0:
            print(f"unet step {step} {elapsed:.0f} s loss {smoothed:.4f} images {step * UNET_BATCH}", flush=True)
        if time.time() - saved > 300:
            saved = time.time()
            state = {"step": step, "spent": elapsed, "loss": smoothed, "optimizer": optimizer.state_dict()}
            state |= {"parameters": [p.data for p in parameters], "averages": averages}
            torch.save(state, checkpoint.with_suffix(".new"))
            checkpoint.with_suffix(".new").rename(checkpoint)
            save_averages(args, unet, text_encoder, parameters, averages)
    save_averages(args, unet, text_encoder, parameters, averages)


def save_averages(args, unet, text_encoder, parameters, averages):
    """Save the averaged weights, then put the current ones back."""
    current = [p.detach().clone() for p in parameters]
    for values in (averages, current):
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data.copy_(value)
        if values is averages:
            save_atomically(unet, args.work / "unet")
            save_atomically(text_encoder, args.work / "text_encoder")


def pack(args, tokenizer):
    """Assemble the parts into a stock pipeline and save it in fp16."""
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(args.work / "vae"),
        unet=UNet2DConditionModel.from_pretrained(args.work / "unet"),
        text_encoder=CLIPTextModel.from_pretrained(args.work / "text_encoder"),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(**SCHEDULE, timestep_spacing="trailing", steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    save_atomically(pipeline.to(torch.float16), args.out)


def main():
    """Parse the command line and run the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the CC0 tiles (with item/, mon/, player/)")
    parser.add_argument("--init", type=Path, required=True, help="pipeline folder to continue from")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints; training resumes from it")
    parser.add_argument("--out", type=Path, required=True, help="folder for the finished fp16 pipeline")
    parser.add_argument("--vae-minutes", type=float, default=35)
    parser.add_argument("--unet-minutes", type=float, default=75)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", default="vae,unet,pack", help="comma-separated parts to run")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    args.work.mkdir(parents=True, exist_ok=True)
    tokenizer, parts = CLIPTokenizer.from_pretrained(args.init / "tokenizer"), args.parts.split(",")
    pixels, token_ids, weights = build_dataset(args.data, tokenizer)
    print(f"{len(pixels)} sprites", flush=True)
    if "vae" in parts:
        train_autoencoder(args, pixels, weights)
    if "unet" in parts:
        train_unet(args, pixels, token_ids, weights, tokenizer)
    if "pack" in parts:
        pack(args, tokenizer)


if __name__ == "__main__":
    main()
