# Loads every resource below res://sprites and prints what Godot made of it as one line of JSON.
extends Node

var drawn := {}


func _ready() -> void:
	var found := {}
	await visit("res://sprites", found)
	print("LOADED " + JSON.stringify(found))


func visit(folder: String, found: Dictionary) -> void:
	for name in DirAccess.get_directories_at(folder):
		await visit(folder + "/" + name, found)
	for name in DirAccess.get_files_at(folder):
		if name.ends_with(".tres"):
			var path := folder + "/" + name
			found[path] = await described(load(path))


func described(resource: Resource) -> Variant:
	if resource is SpriteFrames:
		var animations := {}
		for name in resource.get_animation_names():
			var frames := []
			for number in resource.get_frame_count(name):
				var frame := await texture(resource.get_frame_texture(name, number))
				frame["duration"] = resource.get_frame_duration(name, number)
				frames.append(frame)
			animations[name] = {
				"speed": resource.get_animation_speed(name),
				"loop": resource.get_animation_loop(name),
				"frames": frames,
			}
		return animations
	if resource is AtlasTexture:
		return await texture(resource)
	if resource is TileSet:
		var source: TileSetAtlasSource = resource.get_source(0)
		var tiles := []
		for number in source.get_tiles_count():
			var at := source.get_tile_id(number)
			tiles.append([at.x, at.y, rectangle(source.get_tile_texture_region(at))])
		return {
			"page": diffuse(source.texture),
			"normal": normal(source.texture),
			"size": [resource.tile_size.x, resource.tile_size.y],
			"outside": source.has_tiles_outside_texture(),
			"tiles": tiles,
		}
	return null


func texture(atlas: AtlasTexture) -> Dictionary:
	return {
		"page": diffuse(atlas.atlas),
		"normal": normal(atlas.atlas),
		"region": rectangle(atlas.region),
		"size": [atlas.get_width(), atlas.get_height()],
		"pixels": await pixels(atlas),
	}


# The texture as Godot draws it: 8 hexadecimal digits a pixel.
func pixels(atlas: AtlasTexture) -> String:
	if atlas in drawn:
		return drawn[atlas]
	var shader := Shader.new()
	shader.code = "shader_type canvas_item; render_mode blend_disabled, unshaded; void fragment() {}"
	var sprite := Sprite2D.new()
	sprite.material = ShaderMaterial.new()
	sprite.material.shader = shader
	sprite.texture = atlas
	sprite.centered = false
	var viewport := SubViewport.new()
	viewport.transparent_bg = true
	viewport.size = Vector2i(maxi(atlas.get_width(), 2), maxi(atlas.get_height(), 2))  # no viewport is smaller
	viewport.render_target_update_mode = SubViewport.UPDATE_ALWAYS
	viewport.add_child(sprite)
	add_child(viewport)
	await RenderingServer.frame_post_draw
	await RenderingServer.frame_post_draw
	var image := viewport.get_texture().get_image()
	image.convert(Image.FORMAT_RGBA8)
	image.crop(atlas.get_width(), atlas.get_height())
	viewport.queue_free()
	drawn[atlas] = image.get_data().hex_encode()
	return drawn[atlas]


func diffuse(page: Texture2D) -> String:
	return page.diffuse_texture.resource_path if page is CanvasTexture else page.resource_path


func normal(page: Texture2D) -> Variant:
	return page.normal_texture.resource_path if page is CanvasTexture else null


func rectangle(value: Rect2) -> Array:
	return [value.position.x, value.position.y, value.size.x, value.size.y]
