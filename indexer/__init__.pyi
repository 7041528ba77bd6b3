from indexer.case.case import Case as Case
from indexer.intake.ingest import IngestConfig as IngestConfig
from indexer.intake.ingest import ingest as ingest
from indexer.search.request import SearchRequest as SearchRequest
from indexer.search.request import SearchResult as SearchResult
from indexer.search.searcher import Searcher as Searcher
