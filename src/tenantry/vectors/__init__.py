"""Embeddings beside the rows, in the same walls: kept under keys, found by what is nearest, within one tenant."""

from tenantry.vectors.core import Content, Vectors
from tenantry.vectors.mirror import Mirror, Mirroring
from tenantry.vectors.protocols import Embedder, Hit, Record, VectorStore
from tenantry.vectors.table import TableStore

__all__ = ["Content", "Embedder", "Hit", "Mirror", "Mirroring", "Record", "TableStore", "VectorStore", "Vectors"]
