"""A rigid registration of two images of one patient, by mutual information, for pairs that do not lie on each other yet."""

import SimpleITK as sitk

_BINS, _SHARE, _SEED = 32, 0.2, 1
_STEP, _SMALLEST_STEP, _ITERATIONS = 1.0, 1e-3, 100


def rigid(moving: sitk.Image, fixed: sitk.Image) -> sitk.Transform:
    """The transform that takes points of the fixed image to where they lie in the moving one.

    Raises:
        ValueError: in one sentence, where the two do not overlap.
    """
    moving, fixed = sitk.Cast(moving, sitk.sitkFloat32), sitk.Cast(fixed, sitk.sitkFloat32)
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_SHARE, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(_STEP, _SMALLEST_STEP, _ITERATIONS)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SetInitialTransform(start, inPlace=False)
    try:
        return method.Execute(fixed, moving)
    except RuntimeError as error:
        raise ValueError("the two images could not be registered; register them yourself, and leave --register out.") from error
