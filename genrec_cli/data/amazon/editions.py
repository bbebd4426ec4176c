"""The three editions of the Amazon reviews that McAuley's group has published.

Their pages name the files and the keys:

- 2014, https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html
- 2018, https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/
- 2023, https://amazon-reviews-2023.github.io/, and for the splits
  https://github.com/hyp1231/AmazonReviews2023/tree/main/benchmark_scripts
"""

from dataclasses import dataclass
from typing import Final

from genrec_cli.data.rawlog import TimeUnit


@dataclass(frozen=True)
class Edition:
    """What the files of one edition have in common.

    Attributes:
        year: 2014, 2018 or 2023; what people call the edition.
        user: key of the user's id in a review.
        item: key of the item's id, in a review and in the metadata.
        time: key of the timestamp in a review.
        rating: key of the stars in a review.
        time_unit: of the timestamps.
        meta_suffix: what the name of the metadata ends with, before any compression's.
        page: where the files are published.
        citation: how the publishers ask to be cited.
    """

    year: int
    user: str
    item: str
    time: str
    rating: str
    time_unit: TimeUnit
    meta_suffix: str
    page: str
    citation: str


EDITIONS: Final = {
    2014: Edition(
        year=2014,
        user="reviewerID",
        item="asin",
        time="unixReviewTime",
        rating="overall",
        time_unit="s",
        meta_suffix=".json",
        page="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
        citation=(
            "Ruining He and Julian McAuley. 2016. Ups and Downs: Modeling the Visual Evolution of "
            "Fashion Trends with One-Class Collaborative Filtering. WWW '16. "
            "https://doi.org/10.1145/2872427.2883037; "
            "Julian McAuley, Christopher Targett, Qinfeng Shi and Anton van den Hengel. 2015. "
            "Image-Based Recommendations on Styles and Substitutes. SIGIR '15. "
            "https://doi.org/10.1145/2766462.2767755"
        ),
    ),
    2018: Edition(
        year=2018,
        user="reviewerID",
        item="asin",
        time="unixReviewTime",
        rating="overall",
        time_unit="s",
        meta_suffix=".json",
        page="https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
        citation=(
            "Jianmo Ni, Jiacheng Li and Julian McAuley. 2019. Justifying Recommendations using "
            "Distantly-Labeled Reviews and Fine-Grained Aspects. EMNLP-IJCNLP 2019. "
            "https://doi.org/10.18653/v1/D19-1018"
        ),
    ),
    2023: Edition(
        year=2023,
        user="user_id",
        # Not `asin`, which tells colours and sizes apart: the metadata has one entry a parent.
        item="parent_asin",
        time="timestamp",
        rating="rating",
        time_unit="ms",
        meta_suffix=".jsonl",
        page="https://amazon-reviews-2023.github.io/",
        citation=(
            "Yupeng Hou, Jiacheng Li, Zhankui He, An Yan, Xiusi Chen and Julian McAuley. 2024. "
            "Bridging Language and Items for Retrieval and Recommendation. "
            "https://arxiv.org/abs/2403.03952"
        ),
    ),
}

HOW_TO_GET: Final = f"""\
The Amazon reviews are offered for research and are not downloaded by this program. Get the reviews
(or ratings) and the metadata of one category, put them into one folder, and pass it as --source:
  2014: reviews_Toys_and_Games_5.json.gz + meta_Toys_and_Games.json.gz, {EDITIONS[2014].page}
  2018: Toys_and_Games_5.json.gz + meta_Toys_and_Games.json.gz, {EDITIONS[2018].page}
  2023: Toys_and_Games.jsonl.gz + meta_Toys_and_Games.jsonl.gz, {EDITIONS[2023].page}"""
