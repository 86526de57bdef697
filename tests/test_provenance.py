"""What is told of installed assets: statements and bills that others' validators accept, and signed copies."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from projects import INVERT, Project, safetensors

from spritebuild import __version__, digest
from spritebuild.errors import LockError, UsageError
from spritebuild.project import opened
from spritebuild.provenance.release import Release, release
from spritebuild_stages.images import png

EXAMPLE = Path(__file__).parents[1] / "examples/lora"

# Two pictures by a model of others, one with a lora; one by a stage of the game's own; all of them on a sheet.
QUAY: dict[str, Any] = {
    "project": {"name": 'quay "<b>"', "stages": "stages"},
    "palettes": {"gray": {"file": "gray.hex"}},
    "models": {"sea": {"path": "weights", "licence": "creativeml-openrail-m"}},
    "loras": {"foam": {"path": "loras/foam.safetensors", "version": "2"}},
    "sprites": {
        "buoy": {"stage": "press", "model": "sea", "prompt": "buoy"},
        "wave": {"stage": "press", "model": "sea", "prompt": "wave", "loras": ["foam"], "category": "water & <wind>"},
        "rock": {"stage": "paint", "prompt": "rock", "finish": [{"op": "quantize", "palette": "gray"}]},
    },
    "sheets": {"all": {"sprites": ["*"]}},
}
SMOOTH = INVERT.replace("Invert", "Smooth").replace("    image: Path\n", "    image: Path\n    model: Path\n", 1)
FILES = ["assets/all.json", "assets/all.png", "assets/buoy.png", "assets/rock.png", "assets/water & <wind>/wave.png"]


@pytest.fixture
def quay(project: Project) -> Project:
    """Built and installed."""
    project.file("weights/unet/model.safetensors", safetensors())
    project.file("weights/LICENSE", "with restrictions")
    project.file("loras/foam.safetensors", safetensors(b"foam"))
    project.file("gray.hex", "000000\n808080\nffffff\n")
    project.write(QUAY).build()
    return project


@pytest.fixture
def trained(tmp_path: Path) -> Project:
    """The example whose lora is trained in the project, as it is committed: with the lora, and without pictures."""
    shutil.copytree(EXAMPLE, tmp_path / "lora", ignore=shutil.ignore_patterns(".spritebuild"))
    return Project(tmp_path / "lora")


def told(project: Project, *arguments: str, **environment: str) -> dict[str, Any]:
    """What `spritebuild provenance` prints."""
    done = project.cli("provenance", *arguments, **environment)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def released(project: Project, *patterns: str) -> Release:
    with opened(project.path) as reading:
        return release(reading, patterns)


def check_statement(statement: dict[str, Any]) -> None:
    """in-toto's own types accept it, and know every field."""
    subjects = [json_format.ParseDict(row, ResourceDescriptor().pb) for row in statement["subject"]]
    Statement(subjects, statement["predicateType"], statement["predicate"]).validate()
    for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        json_format.ParseDict(row, descriptor := ResourceDescriptor().pb)
        ResourceDescriptor.copy_from_pb(descriptor).validate()
    json_format.ParseDict(statement["predicate"], Provenance())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"


def check_bill(bill: dict[str, Any]) -> None:
    """CycloneDX's schema accepts it, names are there once, and what is referred to is there."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    refs = [bill["metadata"]["component"]["bom-ref"]]
    refs += [row["bom-ref"] for part in bill["components"] for row in (part, *part.get("components", ()))]
    assert len(refs) == len(set(refs))
    for row in bill["dependencies"]:
        assert {row["ref"], *row.get("dependsOn", ())} <= set(refs)
    for part in bill["components"]:
        for data in part.get("modelCard", {}).get("modelParameters", {}).get("datasets", ()):
            assert data["ref"] in refs


def part(bill: dict[str, Any], ref: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in bill["components"] if row["bom-ref"] == ref)
    return found


# Provenance


def test_a_statement_has_every_installed_file_by_its_digest(quay: Project) -> None:
    statement = told(quay)
    check_statement(statement)
    assert [row["name"] for row in statement["subject"]] == FILES
    for row in statement["subject"]:
        assert row["digest"]["sha256"] == digest.of_file(quay.root / row["name"])


def test_a_statement_says_what_the_assets_were_made_of(quay: Project) -> None:
    definition = told(quay)["predicate"]["buildDefinition"]
    found = {row["name"]: row["digest"]["sha256"] for row in definition["resolvedDependencies"]}
    assert found == {
        name: digest.of_file(quay.root / name)
        for name in (
            "spritefile.toml",
            "gray.hex",
            "loras/foam.safetensors",
            "weights/LICENSE",
            "weights/unet/model.safetensors",
            "stages/paint.py",
            "stages/press.py",
        )
    }
    assert definition["externalParameters"] == {
        "project": 'quay "<b>"',
        "targets": ["*"],
        "spritefile": [{"name": "spritefile.toml", "digest": {"sha256": digest.of_file(quay.path)}}],
    }


def test_a_statement_of_one_target_is_of_that_alone(quay: Project) -> None:
    statement = told(quay, "rock")
    check_statement(statement)
    assert [row["name"] for row in statement["subject"]] == ["assets/rock.png"]
    names = [row["name"] for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert names == ["spritefile.toml", "gray.hex", "stages/paint.py"]


def test_a_shipped_model_is_named_by_the_package_that_holds_it(trained: Project) -> None:
    statement = told(trained, "loras.dusk")
    check_statement(statement)
    found = {row["name"]: row for row in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    uri = f"pkg:pypi/spritebuild@{__version__}#spritebuild_stages/models/sprite-mini/vae/config.json"
    assert found["models.mini/vae/config.json"]["uri"] == uri
    assert found["models.mini/vae/config.json"]["annotations"]["licence"] == "CC0-1.0"
    assert sum(name.startswith("art/dusk/") for name in found) > 40


def test_a_statement_says_on_what_machine_the_locked_bytes_were_made(trained: Project) -> None:
    platforms = told(trained, "loras.dusk")["predicate"]["buildDefinition"]["internalParameters"]["platforms"]
    assert list(platforms) == [trained.lock()["loras/styles/dusk.safetensors"].platform]
    assert all("device" in platform for platform in platforms.values())


def test_a_repository_is_named_at_its_revision_and_without_credentials(quay: Project) -> None:
    pin = quay.root / "lockfiles/loras/foam.dvc"
    repository = "https://me:secret@host.example/weights.git"
    quay.edit("loras.foam.path", None).edit("loras.foam.dvc", {"repo": repository, "path": "a b.safetensors"})
    text = pin.read_text().replace("path:loras/foam.safetensors", f"dvc:{repository}:a b.safetensors")
    origin = {"path": "a b.safetensors", "repo": {"url": repository, "rev_lock": "0123abc"}}
    pin.write_text(f"deps: {json.dumps([origin])}\n{text}")
    for document in (told(quay), told(quay, "--format", "ml-bom")):
        assert "secret" not in json.dumps(document)
    rows = told(quay)["predicate"]["buildDefinition"]["resolvedDependencies"]
    uris = [row["uri"] for row in rows if "uri" in row]
    assert uris == ["git+https://host.example/weights.git@0123abc#a%20b.safetensors"]


def test_a_builder_may_be_named(quay: Project) -> None:
    details = told(quay, "--builder", "https://ci.example/workflow@v1")["predicate"]["runDetails"]
    assert details["builder"] == {"id": "https://ci.example/workflow@v1", "version": {"spritebuild": __version__}}


# The bill of materials


def test_a_bill_lists_models_and_files_with_their_licences(quay: Project) -> None:
    bill = told(quay, "--format", "ml-bom")
    check_bill(bill)
    assert [row["name"] for row in bill["components"] if row["type"] == "machine-learning-model"] == ["sea", "foam"]
    assert sorted(row["name"] for row in bill["components"] if row["type"] == "file") == FILES
    text = hashlib.sha256(b"with restrictions").hexdigest()[:12]
    licence = f"LicenseRef-CreativeML-OpenRAIL-M-{text}"
    for ref in ("component:models.sea", "file:assets/buoy.png", "file:assets/all.png"):
        assert part(bill, ref)["licenses"] == [{"expression": licence, "acknowledgement": "declared"}]
    assert "licenses" not in part(bill, "file:assets/rock.png")
    concerns = part(bill, "component:models.sea")["modelCard"]["considerations"]["ethicalConsiderations"]
    assert licence in concerns[0]["mitigationStrategy"]


def test_a_bill_says_whose_licence_is_unknown(quay: Project) -> None:
    bill = told(quay, "--format", "ml-bom")
    unknown = {"name": "spritebuild:licence-unknown", "value": "loras.foam"}
    having = {row["bom-ref"] for row in bill["components"] if unknown in row.get("properties", ())}
    assert having == {
        "component:loras.foam",
        "file:assets/water & <wind>/wave.png",
        "file:assets/all.png",
        "file:assets/all.json",
    }
    assert "licenses" not in part(bill, "component:loras.foam")


def test_a_bill_has_digests_of_weights_and_assets(quay: Project) -> None:
    bill = told(quay, "--format", "ml-bom")
    foam = part(bill, "component:loras.foam")
    assert foam["hashes"] == [{"alg": "SHA-256", "content": digest.of_file(quay.root / "loras/foam.safetensors")}]
    assert foam["version"] == "2"
    for row in part(bill, "component:models.sea")["components"]:
        assert row["hashes"][0]["content"] == digest.of_file(quay.root / "weights" / row["name"])
    for name in FILES:
        assert part(bill, f"file:{name}")["hashes"][0]["content"] == digest.of_file(quay.root / name)


def test_a_bill_says_what_comes_from_what(quay: Project) -> None:
    edges = {row["ref"]: row.get("dependsOn", []) for row in told(quay, "--format", "ml-bom")["dependencies"]}
    assert edges["project"] == [f"file:{name}" for name in FILES]
    assert edges["file:assets/rock.png"] == []
    assert edges["file:assets/buoy.png"] == ["component:models.sea"]
    assert edges["file:assets/all.png"] == ["component:loras.foam", "component:models.sea"]


def test_a_lora_that_was_trained_here_has_a_pedigree(trained: Project) -> None:
    bill = told(trained, "loras.dusk", "--format", "ml-bom")
    check_bill(bill)
    lora = part(bill, "component:loras.dusk")
    assert [row["name"] for row in lora["pedigree"]["ancestors"]] == ["mini"]
    assert '"steps": 300' in lora["pedigree"]["notes"]
    assert lora["modelCard"]["modelParameters"]["datasets"] == [{"ref": "component:datasets.dusk"}]
    assert lora["description"] == "Six shades of violet, from night to moonlight."
    assert part(bill, "component:datasets.dusk")["type"] == "data"
    edges = {row["ref"]: row.get("dependsOn") for row in bill["dependencies"]}
    assert edges["component:loras.dusk"] == ["component:datasets.dusk", "component:models.mini"]
    assert edges["file:loras/styles/dusk.safetensors"] == ["component:loras.dusk"]


@pytest.mark.diffusion
def test_a_model_that_draws_from_words_is_said_to(project: Project) -> None:
    pytest.importorskip("torch")
    model = {"project": {"name": "quay"}, "models": {"mini": {"builtin": "sprite-mini"}}}
    project.write({**model, "sprites": {"crab": {"model": "mini", "prompt": "crab", "steps": 1}}}).build()
    bill = told(project, "--format", "ml-bom")
    check_bill(bill)
    assert part(bill, "component:models.mini")["modelCard"]["modelParameters"] == {
        "task": "text-to-image",
        "architectureFamily": "diffusion",
        "inputs": [{"format": "text"}],
        "outputs": [{"format": "image"}],
    }


# The same every time


@pytest.mark.parametrize("form", ["slsa", "ml-bom"])
def test_documents_follow_from_the_repository_alone(quay: Project, tmp_path: Path, form: str) -> None:
    first = quay.cli("provenance", "--format", form, PYTHONHASHSEED="1", TZ="UTC").stdout
    other = quay.clone(tmp_path / "elsewhere", assets=True)
    assert other.cli("provenance", "--format", form, PYTHONHASHSEED="2", TZ="Asia/Tokyo").stdout == first
    assert str(quay.root) not in first


def test_a_bill_of_other_files_has_another_serial_number(quay: Project) -> None:
    first = told(quay, "--format", "ml-bom")["serialNumber"]
    assert told(quay, "rock", "--format", "ml-bom")["serialNumber"] != first
    quay.edit("sprites.rock.prompt", "stone").build()
    assert told(quay, "--format", "ml-bom")["serialNumber"] != first


def test_times_are_those_of_source_date_epoch(quay: Project) -> None:
    when = "2026-01-02T03:04:05Z"
    epoch = str(int(datetime.datetime.fromisoformat(when).timestamp()))
    statement = told(quay, SOURCE_DATE_EPOCH=epoch)
    check_statement(statement)
    assert statement["predicate"]["runDetails"]["metadata"] == {"finishedOn": when}
    bill = told(quay, "--format", "ml-bom", SOURCE_DATE_EPOCH=epoch)
    check_bill(bill)
    assert bill["metadata"]["timestamp"] == when
    assert "metadata" not in told(quay)["predicate"]["runDetails"]
    for wrong in ("soon", "9" * 30):
        assert quay.cli("provenance", SOURCE_DATE_EPOCH=wrong).returncode == 2


def test_a_document_is_written_where_asked(quay: Project) -> None:
    assert quay.cli("provenance", "-o", "out/quay.json").stdout == ""
    assert (quay.root / "out/quay.json").read_text() == quay.cli("provenance").stdout


# What cannot be vouched for


def test_only_what_is_installed_as_it_is_locked_is_vouched_for(quay: Project) -> None:
    rock = quay.root / "assets/rock.png"
    painted = rock.read_bytes()
    rock.write_bytes(painted + b"x")
    with pytest.raises(LockError, match="1 asset is not installed") as caught:
        released(quay)
    assert caught.value.facts == (("assets/rock.png", "not what the lock says"),)
    rock.unlink()
    with pytest.raises(LockError) as caught:
        released(quay)
    assert caught.value.facts == (("assets/rock.png", "not installed"),)
    assert list(released(quay, "buoy").files()) == ["assets/buoy.png"]
    rock.write_bytes(painted)
    quay.edit("sprites.rock.prompt", "stone")
    with pytest.raises(LockError) as caught:
        released(quay, "rock")
    assert caught.value.facts == (("assets/rock.png", "not built as it is declared now"),)
    assert quay.cli("provenance").returncode == 3


def test_a_damaged_file_of_a_folder_is_not_vouched_for(quay: Project) -> None:
    (quay.root / "assets/all.json").write_text("{}")
    with pytest.raises(LockError) as caught:
        released(quay, "sheets.all")
    assert caught.value.facts == (("assets/all*", "not what the lock says"),)


def test_targets_that_install_nothing_are_told(trained: Project) -> None:
    with pytest.raises(UsageError, match="nothing of these targets is installed"):
        released(trained, "datasets.dusk")


def test_documents_are_plain_ascii(quay: Project) -> None:
    quay.edit("project.name", "\u202eyauq\u0007\u2028").build()
    for form in ("slsa", "ml-bom"):
        text = quay.cli("provenance", "--format", form).stdout
        assert text.isascii()
        assert text.replace("\n", "").isprintable()
        assert "\\u202eyauq" in text


# Signed copies


@pytest.fixture
def signer(tmp_path: Path) -> tuple[str, str]:
    """A chain of certificates and its key, made for this test."""
    pytest.importorskip("c2pa")
    from cryptography.hazmat.primitives.asymmetric import ec

    return written(tmp_path, ec.generate_private_key(ec.SECP256R1()))


def written(folder: Path, key: Any) -> tuple[str, str]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def certificate(subject: str, of: Any, ca: bool) -> Any:
        names = [
            x509.Name(
                [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Quay"), x509.NameAttribute(NameOID.COMMON_NAME, n)]
            )
            for n in (subject, "Root")
        ]
        builder = x509.CertificateBuilder(names[1], names[0], of.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(datetime.datetime(2020, 1, 1)).not_valid_after(datetime.datetime(2100, 1, 1))
        usage = x509.KeyUsage(True, False, False, False, False, ca, ca, False, False)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), True).add_extension(usage, True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
        builder = builder.add_extension(issuer, False)
        if not ca:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(purpose, False)
        return builder.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    root = ec.generate_private_key(ec.SECP256R1())
    (folder / "chain.pem").write_bytes(certificate("Signer", key, False) + certificate("Root", root, True))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return str(folder / "chain.pem"), str(folder / "key.pem")


def sign(project: Project, signer: tuple[str, str], *arguments: str) -> Any:
    return project.cli("provenance", "--c2pa", "--cert", signer[0], "--key", signer[1], *arguments)


def manifest(path: Path) -> dict[str, Any]:
    """The manifest in a file, which must be valid but for who signed it."""
    import c2pa

    context = c2pa.Context.from_dict({"verify": {"remote_manifest_fetch": False}})
    with c2pa.Reader("image/png", io.BytesIO(path.read_bytes()), context=context) as reader:
        found = json.loads(reader.json())
    assert found["validation_state"] == "Valid"
    assert [row["code"] for row in found["validation_status"]] == ["signingCredential.untrusted"]
    active: dict[str, Any] = found["manifests"][found["active_manifest"]]
    return active


def created(path: Path) -> dict[str, Any]:
    rows = [row["data"] for row in manifest(path)["assertions"] if row["label"] == "c2pa.actions.v2"]
    (action,) = rows[0]["actions"]
    assert action["action"] == "c2pa.created"
    found: dict[str, Any] = action
    return found


def test_signed_copies_say_that_a_model_made_the_picture(quay: Project, signer: tuple[str, str]) -> None:
    before = quay.assets()
    done = sign(quay, signer, "-o", "signed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "3 signed copies in signed\n")
    signed = quay.root / "signed/assets"
    assert sorted(path.relative_to(signed).as_posix() for path in signed.rglob("*.*")) == [
        "all.png",
        "buoy.png",
        "water & <wind>/wave.png",
    ]
    source = created(signed / "buoy.png")["digitalSourceType"]
    assert source == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert created(signed / "buoy.png")["softwareAgent"]["name"] == "spritebuild"
    assert manifest(signed / "water & <wind>/wave.png")["title"] == "assets/water & <wind>/wave.png"
    assert quay.assets() == before


def test_a_sheet_with_pictures_of_other_kinds_is_a_composite(quay: Project, signer: tuple[str, str]) -> None:
    assert sign(quay, signer, "-o", "signed").returncode == 0
    source = created(quay.root / "signed/assets/all.png")["digitalSourceType"]
    assert source == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def test_a_drawing_that_a_model_worked_on_is_a_composite(quay: Project, signer: tuple[str, str]) -> None:
    quay.stage("smooth", SMOOTH)
    quay.edit("sprites.rock.finish", [{"stage": "smooth", "model": "sea"}]).build()
    assert sign(quay, signer, "rock", "-o", "signed").returncode == 0
    source = created(quay.root / "signed/assets/rock.png")["digitalSourceType"]
    assert source == "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


def test_a_palette_that_is_chosen_from_generated_sprites_makes_no_generated_picture(
    quay: Project, signer: tuple[str, str]
) -> None:
    quay.edit("palettes.gray", {"sprites": ["buoy"], "most": 4}).build()
    assert sign(quay, signer, "rock", "-o", "signed").returncode == 2


def test_signing_keeps_every_pixel(quay: Project, signer: tuple[str, str]) -> None:
    assert sign(quay, signer, "-o", "signed").returncode == 0
    for path in (quay.root / "signed").rglob("*.png"):
        own = quay.root / path.relative_to(quay.root / "signed")
        assert np.array_equal(png.read(path), png.read(own))
        assert path.read_bytes() != own.read_bytes()


@pytest.mark.parametrize("kind", ["SECP384R1", "SECP521R1", "ed25519", "rsa"])
def test_keys_of_every_kind_that_c2pa_knows_sign(quay: Project, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("c2pa")
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    made = {"ed25519": ed25519.Ed25519PrivateKey.generate, "rsa": lambda: rsa.generate_private_key(65537, 2048)}
    key = made[kind]() if kind in made else ec.generate_private_key(getattr(ec, kind)())
    done = sign(quay, written(tmp_path, key), "buoy", "-o", "signed")
    assert done.stderr == "1 signed copy in signed\n"
    assert created(quay.root / "signed/assets/buoy.png")


def test_installed_files_are_never_replaced_by_signed_ones(quay: Project, signer: tuple[str, str]) -> None:
    before = quay.assets()
    done = sign(quay, signer, "-o", ".")
    assert done.returncode == 2
    assert "would replace an installed file" in done.stderr
    assert quay.assets() == before


def test_what_no_model_made_is_not_signed(quay: Project, signer: tuple[str, str]) -> None:
    done = sign(quay, signer, "rock", "-o", "signed")
    assert done.returncode == 2
    assert "none of these targets is a PNG that a model made" in done.stderr


def test_a_wrong_key_or_certificate_is_told(quay: Project, signer: tuple[str, str], tmp_path: Path) -> None:
    chain, key = signer
    assert "No such file" in sign(quay, (chain, "none.pem"), "-o", "signed").stderr
    assert "no unencrypted private key" in sign(quay, (chain, chain), "-o", "signed").stderr
    assert "cannot sign" in sign(quay, (key, key), "-o", "signed").stderr
    for missing in (["--cert", chain, "--key", key], ["--c2pa"], ["--c2pa", "--cert", chain, "--key", key]):
        assert quay.cli("provenance", *missing).returncode == 2
    assert not (quay.root / "signed").exists()
