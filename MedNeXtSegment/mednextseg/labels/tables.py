"""Which number means which structure in public data sets, as their documentation lists it. Nothing else may rely on these numbers.

A structure may join several numbers (MSD's liver is its healthy part and the tumors in it), and two structures may share one.
TotalSegmentator's tables hold the structures whose numbers its releases from version 2 on agree about.
"""

_TOTALSEGMENTATOR_CT = (
    "spleen,right kidney,left kidney,gallbladder,liver,stomach,pancreas,right adrenal gland,left adrenal gland,"
    "left upper lung lobe,left lower lung lobe,right upper lung lobe,right middle lung lobe,right lower lung lobe,esophagus,trachea,"
    "thyroid gland,small bowel,duodenum,colon,urinary bladder,prostate,left kidney cyst,right kidney cyst,sacrum,vertebra S1,"
    "vertebra L5,vertebra L4,vertebra L3,vertebra L2,vertebra L1,vertebra T12,vertebra T11,vertebra T10,vertebra T9,vertebra T8,"
    "vertebra T7,vertebra T6,vertebra T5,vertebra T4,vertebra T3,vertebra T2,vertebra T1,vertebra C7,vertebra C6,vertebra C5,"
    "vertebra C4,vertebra C3,vertebra C2,vertebra C1,heart,aorta,pulmonary vein,brachiocephalic trunk,right subclavian artery,"
    "left subclavian artery,right common carotid artery,left common carotid artery,left brachiocephalic vein,"
    "right brachiocephalic vein,left atrial appendage,superior vena cava,inferior vena cava,portal vein and splenic vein,"
    "left iliac artery,right iliac artery,left iliac vein,right iliac vein,left humerus,right humerus,left scapula,right scapula,"
    "left clavicle,right clavicle,left femur,right femur,left hip,right hip,spinal cord,left gluteus maximus,right gluteus maximus,"
    "left gluteus medius,right gluteus medius,left gluteus minimus,right gluteus minimus,left autochthon,right autochthon,"
    "left iliopsoas,right iliopsoas,brain,skull"
)
_TOTALSEGMENTATOR_MR = (
    "spleen,right kidney,left kidney,gallbladder,liver,stomach,pancreas,right adrenal gland,left adrenal gland,left lung,right lung,"
    "esophagus,small bowel,duodenum,colon,urinary bladder,prostate,sacrum,vertebrae,intervertebral discs,spinal cord,heart,aorta,"
    "inferior vena cava,portal vein and splenic vein,left iliac artery,right iliac artery,left iliac vein,right iliac vein,"
    "left humerus,right humerus"
)


def _in_order(names: str) -> dict[str, tuple[int, ...]]:
    return {name: (number,) for number, name in enumerate(names.split(","), start=1)}


LABEL_TABLES: dict[str, dict[str, tuple[int, ...]]] = {
    "FLARE22": _in_order(
        "liver,right kidney,spleen,pancreas,aorta,inferior vena cava,right adrenal gland,left adrenal gland,gallbladder,esophagus,"
        "stomach,duodenum,left kidney"
    ),
    "AMOS": _in_order(
        "spleen,right kidney,left kidney,gallbladder,esophagus,liver,stomach,aorta,inferior vena cava,pancreas,right adrenal gland,"
        "left adrenal gland,duodenum,urinary bladder,prostate or uterus"
    ),
    # The data set has one number for both adrenal glands; A-Eval's copy splits them, the right one as 17.
    "WORD": _in_order(
        "liver,spleen,left kidney,right kidney,stomach,gallbladder,esophagus,pancreas,duodenum,colon,small bowel,adrenal gland,"
        "rectum,urinary bladder,left femur,right femur"
    ),
    "WORD-A-Eval": {
        **_in_order("liver,spleen,left kidney,right kidney,stomach,gallbladder,esophagus,pancreas,duodenum,colon,small bowel"),
        "left adrenal gland": (12,),
        "rectum": (13,),
        "urinary bladder": (14,),
        "left femur": (15,),
        "right femur": (16,),
        "right adrenal gland": (17,),
    },
    "BTCV": _in_order(
        "spleen,right kidney,left kidney,gallbladder,esophagus,liver,stomach,aorta,inferior vena cava,portal vein and splenic vein,"
        "pancreas,right adrenal gland,left adrenal gland"
    ),
    "TotalSegmentator-CT": _in_order(_TOTALSEGMENTATOR_CT),
    "TotalSegmentator-MR": _in_order(_TOTALSEGMENTATOR_MR),
    "MSD-Task01-BrainTumour": _in_order("edema,non-enhancing tumor,enhancing tumor"),
    "MSD-Task02-Heart": _in_order("left atrium"),
    "MSD-Task03-Liver": {"liver": (1, 2), "liver tumor": (2,)},
    "MSD-Task04-Hippocampus": _in_order("anterior hippocampus,posterior hippocampus"),
    "MSD-Task05-Prostate": {"prostate": (1, 2), "peripheral zone": (1,), "transition zone": (2,)},
    "MSD-Task06-Lung": _in_order("lung tumor"),
    "MSD-Task07-Pancreas": {"pancreas": (1, 2), "pancreas tumor": (2,)},
    "MSD-Task08-HepaticVessel": _in_order("hepatic vessel,liver tumor"),
    "MSD-Task09-Spleen": _in_order("spleen"),
    "MSD-Task10-Colon": _in_order("colon tumor"),
}
