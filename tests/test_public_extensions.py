"""What public extensions for image to 3D import from upstream threestudio 0.2.3 is here, under the same names.

The names are those that the extensions mvimg-gen, 4dfy and meshfitting import; docs/hosts.md has the table.
"""

import importlib

import pytest
import torch
from packaging.version import Version

import threestudio
from threestudio.errors import UserError
from threestudio.utils.misc import parse_version
from threestudio.utils.rasterize import NVDiffRasterizerContext

IMPORTED = {
    "threestudio": ["__version__", "debug", "find", "info", "register", "warn"],
    "threestudio.models.background.base": ["BaseBackground"],
    "threestudio.models.geometry.base": ["BaseExplicitGeometry", "BaseImplicitGeometry", "contract_to_unisphere"],
    "threestudio.models.guidance.stable_zero123_guidance": ["StableZero123Guidance"],
    "threestudio.models.materials.base": ["BaseMaterial"],
    "threestudio.models.mesh": ["Mesh"],
    "threestudio.models.prompt_processors.base": ["PromptProcessor", "PromptProcessorOutput", "hash_prompt"],
    "threestudio.models.renderers.base": ["Rasterizer", "VolumeRenderer"],
    "threestudio.systems.base": ["BaseLift3DSystem"],
    "threestudio.utils.base": ["BaseModule", "BaseObject", "Updateable"],
    "threestudio.utils.config": ["parse_structured"],
    "threestudio.utils.misc": ["C", "cleanup", "get_device", "get_rank", "parse_version"],
    "threestudio.utils.ops": ["binary_cross_entropy", "dot", "get_mvp_matrix", "get_projection_matrix", "get_rays"]
    + ["get_activation", "get_ray_directions"],
    "threestudio.utils.rasterize": ["NVDiffRasterizerContext"],
    "threestudio.utils.typing": ["Any", "Dict", "Float", "List", "Optional", "Tensor", "Tuple", "Union"],
}


@pytest.mark.parametrize("module", IMPORTED)
def test_every_imported_name_is_there(module):
    found = importlib.import_module(module)
    assert not [name for name in IMPORTED[module] if not hasattr(found, name)]


def test_the_version_is_the_upstream_whose_api_this_is():
    assert Version("0.2.3") <= Version(threestudio.__version__) < Version("0.3")


def test_versions_are_compared_as_numbers():
    assert parse_version("0.10.0") > parse_version("0.9.1")


def test_a_rasterizer_without_nvdiffrast_or_of_no_kind_is_refused_in_one_line():
    with pytest.raises(UserError, match="needs nvdiffrast, which is not installed"):
        NVDiffRasterizerContext("cuda", torch.device("cpu"))
    with pytest.raises(UserError, match='rasterizer context "vulkan"; known are gl, cuda'):
        NVDiffRasterizerContext("vulkan", torch.device("cpu"))
